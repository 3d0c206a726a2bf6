/** The driver performs what the machine says, in order, and survives what peers send. The machine here is a script. @module */
import { describe, expect, it } from 'vitest'
import { createLoop } from '#node/loop.ts'
import type { LoopParts } from '#node/loop.ts'
import { createRecent } from '#node/recent.ts'
import type { ExecutionInput, HhcmEffect, HhcmEvent, Vote } from '#shared/hhcm/types.ts'
import { encodeWireMessage } from '#shared/hhcm/wire.ts'
import type { Hash } from '#shared/types.ts'
import { samplePackage } from '#test/unit/hhcm/samples.ts'

const hash = (byte: string): Hash => `0x${byte.repeat(32)}`
const vote: Vote = {
  source: { slot: 1, blockHash: hash('01') },
  target: { slot: 2, blockHash: hash('02') },
  voter: `0x${'aa'.repeat(20)}`,
  signature: `0x${'bb'.repeat(64)}`,
}
const voteBytes = encodeWireMessage({ kind: 'vote', vote })
const persistVote: HhcmEffect = { kind: 'persist', record: { kind: 'vote', source: vote.source, target: vote.target } }
const broadcastVote: HhcmEffect = { kind: 'broadcast', message: { kind: 'vote', vote } }
const input: ExecutionInput = { parentHash: hash('03'), slot: 5, author: `0x${'aa'.repeat(20)}`, packages: [], voters: [], coSigners: [] }

type Script = (event: HhcmEvent) => readonly HhcmEffect[]

function run(script: Script, changes: Record<string, unknown> = {}, isTaken = true) {
  const events: HhcmEvent[] = []
  const calls: string[] = []
  const fatal: unknown[] = []
  const note = (name: string) => async () => {
    calls.push(name)
  }
  const parts = {
    step: (event: HhcmEvent) => {
      events.push(event)
      return { effects: script(event), isTaken }
    },
    chain: {
      buildBlock: async () => null,
      executeBlock: async () => true,
      setHead: note('head'),
      setJustified: note('justified'),
      setFinalized: note('finalized'),
      putEvidence: note('evidence'),
      lastRefusal: () => 'because',
    },
    packaging: { buildPackage: async () => [Uint8Array.of(1)], checkPackage: () => null },
    wal: { append: () => calls.push('persist') },
    network: () => ({
      publish: (kind: string) => calls.push(`publish ${kind}`),
      penalize: (peer: string, fault: string) => calls.push(`penalize ${peer} ${fault}`),
    }),
    recent: createRecent(),
    syncer: {
      fetch: (what: string) => calls.push(`fetch ${what}`),
      sync: (from: number) => calls.push(`sync ${from}`),
      stop: () => undefined,
    },
    isWanted: async () => false,
    log: {
      debug: () => undefined,
      info: () => undefined,
      warn: () => undefined,
      error: (event: string) => calls.push(`error ${event}`),
      close: () => undefined,
    },
    onFatal: (cause: unknown) => fatal.push(cause),
    now: () => 1000,
    ...changes,
  } as unknown as LoopParts
  const loop = createLoop(parts)
  return { loop, events, calls, fatal }
}
const settle = () => new Promise((resolve) => setTimeout(resolve, 10))
const onMessage =
  (...effects: HhcmEffect[]): Script =>
  (event) =>
    event.kind === 'message' ? effects : []

describe('driver of the consensus machine', () => {
  it('writes ahead before it sends, in the order of the machine', () => {
    const { loop, calls } = run(
      onMessage(
        persistVote,
        broadcastVote,
        { kind: 'sync', fromNumber: 3 },
        { kind: 'request', what: 'block', hash: hash('01'), from: null },
      ),
    )
    expect(loop.onGossip('vote', voteBytes, 'p')).toBe('accept')
    expect(calls).toEqual(['persist', 'publish vote', 'sync 3', 'fetch block'])
  })

  it('sends nothing and stops when the write-ahead file refuses', () => {
    const { loop, calls, fatal, events } = run(onMessage(persistVote, broadcastVote), {
      wal: {
        append: () => {
          throw new Error('disk full')
        },
      },
    })
    loop.onGossip('vote', voteBytes, 'p')
    expect(calls).toEqual([])
    expect(String(fatal[0])).toContain('disk full')
    loop.onGossip('vote', voteBytes, 'p')
    expect(events).toHaveLength(1)
  })

  it('rejects what does not decode, stands under the wrong topic, or is at fault', () => {
    const { loop, events } = run(onMessage({ kind: 'fault', peer: 'p', fault: 'VOTE_SIGNATURE' }))
    expect(loop.onGossip('vote', Uint8Array.of(5, 0xc1), 'p')).toBe('reject')
    expect(loop.onGossip('block', voteBytes, 'p')).toBe('reject')
    expect(events).toHaveLength(0)
    expect(loop.onGossip('vote', voteBytes, 'p')).toBe('reject')
  })

  it('passes on and keeps for others only what the machine has verified', () => {
    const recent = createRecent()
    const item = samplePackage
    const bytes = encodeWireMessage({ kind: 'package', package: item })
    const idle = run(() => [], { recent }, false)
    expect(idle.loop.onGossip('package', bytes, 'p')).toBe('ignore')
    expect(idle.loop.onFetched({ kind: 'package', package: item }, 'p')).toBe(false)
    expect(recent.package(item.hash)).toBeNull()
    const busy = run(() => [], { recent })
    expect(busy.loop.onGossip('package', bytes, 'p')).toBe('accept')
    expect(busy.loop.onFetched({ kind: 'package', package: item }, 'p')).toBe(true)
    expect(recent.package(item.hash)).toEqual(item)
  })

  it('does not blame a peer for what it passed on before anybody could judge it', () => {
    const { loop, calls } = run(onMessage({ kind: 'fault', peer: 'earlier', fault: 'PACKAGE_LANE' }))
    expect(loop.onGossip('vote', voteBytes, 'p')).toBe('accept')
    expect(calls).toEqual([])
  })

  it('penalises a peer that answers a request with something wrong', () => {
    const { loop, calls } = run(onMessage({ kind: 'fault', peer: 'p', fault: 'BLOCK_ROOTS' }))
    loop.onFetched({ kind: 'vote', vote }, 'p')
    expect(calls).toEqual(['penalize p BLOCK_ROOTS'])
  })

  it('lives on when a message makes the machine throw, and ends when its own tick does', () => {
    const bad: Script = () => {
      throw new Error('bug')
    }
    const { loop, fatal, calls } = run(bad)
    expect(loop.onGossip('vote', voteBytes, 'p')).toBe('ignore')
    expect(calls).toEqual(['error step-failed'])
    expect(fatal).toHaveLength(0)
    loop.start()
    loop.stop()
    expect(String(fatal[0])).toContain('bug')
  })

  it('answers every piece of work, with the empty answer when the work fails', async () => {
    const work: HhcmEffect[] = [
      { kind: 'buildPackage', slot: 5, lane: 1, parentHash: hash('03') },
      { kind: 'checkPackage', package: { hash: hash('05') } as never },
      { kind: 'buildBlock', input },
      { kind: 'execute', block: { hash: hash('04'), header: { number: 9 } } as never, input },
    ]
    const fails = async () => {
      throw new Error('out of cheese')
    }
    const good = run(onMessage(...work))
    good.loop.onGossip('vote', voteBytes, 'p')
    await settle()
    expect(good.events.slice(1)).toEqual([
      { kind: 'packageBuilt', slot: 5, lane: 1, parentHash: hash('03'), txs: [Uint8Array.of(1)] },
      { kind: 'packageChecked', packageHash: hash('05'), valid: true },
      { kind: 'blockBuilt', slot: 5, parentHash: hash('03'), roots: null },
      { kind: 'executed', blockHash: hash('04'), valid: true },
    ])
    const bad = run(onMessage(...work), {
      packaging: {
        buildPackage: fails,
        checkPackage: () => {
          throw new Error('out of cheese')
        },
      },
      chain: { buildBlock: fails, executeBlock: fails, lastRefusal: () => null },
    })
    bad.loop.onGossip('vote', voteBytes, 'p')
    await settle()
    expect(bad.events.slice(1)).toEqual([
      { kind: 'packageBuilt', slot: 5, lane: 1, parentHash: hash('03'), txs: [] },
      { kind: 'packageChecked', packageHash: hash('05'), valid: false },
      { kind: 'blockBuilt', slot: 5, parentHash: hash('03'), roots: null },
      { kind: 'executed', blockHash: hash('04'), valid: false },
    ])
    expect(bad.fatal).toEqual([])
  })

  it('tells the machine about activity only when it changes', async () => {
    let wanted = false
    let nowMs = 0
    const { loop, events } = run(() => [], { isWanted: async () => wanted, now: () => (nowMs += 100) })
    loop.refreshActivity()
    await settle()
    wanted = true
    loop.refreshActivity()
    await settle()
    loop.refreshActivity()
    await settle()
    expect(events).toEqual([{ kind: 'activity', wanted: true }])
  })

  it('asks a busy pool a few times a second and not once per transaction', async () => {
    let asked = 0
    const isWanted = async () => {
      asked++
      return false
    }
    const { loop } = run(() => [], { isWanted })
    for (let count = 0; count < 100; count++) {
      loop.refreshActivity()
      await Promise.resolve()
    }
    await settle()
    expect(asked).toBe(1)
  })

  it('does nothing any more after it was stopped', async () => {
    const { loop, events } = run(onMessage(broadcastVote))
    loop.start()
    loop.stop()
    const before = events.length
    loop.onGossip('vote', voteBytes, 'p')
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(events).toHaveLength(before)
  })
})
