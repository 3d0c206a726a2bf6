/** A party in a process of its own. @module */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createLogger } from '#node/log.ts'
import { lineOf } from '#node/party/enrolment.ts'
import { runParty } from '#node/party/party.ts'
import { PARTY_HELP, readPartySettings } from '#node/party/settings.ts'
import { runMain } from '#node/run-main.ts'
import { DecodeError } from '#shared/fault.ts'

const EXIT_FAILED = 1
const EXIT_SETTINGS = 2

async function main(): Promise<number> {
  const settings = readPartySettings(process.argv.slice(2), process.env)
  if (settings === 'help') {
    process.stdout.write(PARTY_HELP)
    return 0
  }
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 })
  const log = createLogger('party', 'info', join(settings.dataDir, 'party.log'))
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  try {
    await runParty(settings, log, stop.signal)
    return 0
  } catch (cause) {
    if (stop.signal.aborted) return 0
    log.error('party-failed', { cause: lineOf(cause) })
    return cause instanceof DecodeError ? EXIT_SETTINGS : EXIT_FAILED
  }
}

await runMain(main, () => EXIT_SETTINGS)
