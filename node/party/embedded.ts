/** A validator's party in a thread of its own: however long it computes, consensus does not wait. @module */
import { mkdirSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Level, Logger } from '#node/log.ts'
import type { PartySettings } from '#node/party/settings.ts'

/** How long a thread may take to end by itself. */
const STOP_TIMEOUT_MS = 3000
/** Heap of the thread: a party that outgrows it ends alone, and not the validator with it. */
const HEAP_MIB = 1024

export type EmbeddedParty = Readonly<{ stop: () => Promise<void> }>

/** What the thread is started with. */
export type PartyThread = Readonly<{ settings: PartySettings; logLevel: Level }>

/** Starts the thread. Should it fail, that is logged and the validator goes on without a party. */
export function startEmbeddedParty(settings: PartySettings, logLevel: Level, log: Logger): EmbeddedParty {
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 })
  const workerData: PartyThread = { settings, logLevel }
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } })
  const ended = new Promise<void>((done) => {
    worker.once('exit', () => done())
  })
  worker.on('error', (cause) => log.error('party-failed', { cause: cause.message }))
  return {
    stop: async () => {
      worker.postMessage('stop')
      const timer = setTimeout(() => void worker.terminate(), STOP_TIMEOUT_MS)
      await ended
      clearTimeout(timer)
    },
  }
}
