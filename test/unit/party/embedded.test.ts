/** A party inside a validator: what its thread may take of the process. @module */
import { EventEmitter } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorkerOptions } from 'node:worker_threads'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '#node/log.ts'
import { startEmbeddedParty } from '#node/party/embedded.ts'
import type { PartySettings } from '#node/party/settings.ts'

const started = vi.hoisted((): WorkerOptions[] => [])
vi.mock('node:worker_threads', async (original) => ({
  ...(await original<typeof import('node:worker_threads')>()),
  Worker: class extends EventEmitter {
    constructor(_file: URL, options: WorkerOptions) {
      super()
      started.push(options)
    }
  },
}))
const folder = mkdtempSync(join(tmpdir(), 'fusion-embedded-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe("a validator's party", () => {
  it('has a heap of its own of one GiB at most, so that it ends alone when it outgrows it', () => {
    const settings: PartySettings = {
      rpcUrl: 'http://127.0.0.1:1',
      chainId: 1,
      dataDir: folder,
      operatorKey: '0x01',
      passphrase: 'of a test',
      edgeRelays: [],
      host: '127.0.0.1',
      port: 0,
      publicUrl: null,
      renewsKeys: false,
    }
    startEmbeddedParty(settings, 'info', createLogger('party', 'info', join(folder, 'log')))
    expect(started.map(({ resourceLimits }) => resourceLimits)).toEqual([{ maxOldGenerationSizeMb: 1024 }])
  })
})
