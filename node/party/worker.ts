/** Entry of the party's thread. @module */
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { createLogger } from '#node/log.ts'
import type { PartyThread } from '#node/party/embedded.ts'
import { lineOf } from '#node/party/enrolment.ts'
import { runParty } from '#node/party/party.ts'

const { settings, logLevel } = workerData as PartyThread
const log = createLogger('party', logLevel, join(settings.dataDir, 'party.log'))
const stop = new AbortController()
parentPort?.on('message', () => stop.abort())
try {
  await runParty(settings, log, stop.signal)
} catch (cause) {
  if (!stop.signal.aborted) log.error('party-failed', { cause: lineOf(cause) })
}
parentPort?.close()
