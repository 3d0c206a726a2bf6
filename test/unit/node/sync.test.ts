/** Handing over blocks and packages, and fetching them from peers that are late, empty or lying. @module */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPeerService } from '#node/peer-service.ts'
import { createRecent } from '#node/recent.ts'
import { createSyncer } from '#node/sync.ts'
import type { SyncerParts } from '#node/sync.ts'
import {
  decodeBlockRange,
  decodeFullBlock,
  decodeFullBlocks,
  decodeHashes,
  decodePackages,
  encodeBlockRange,
  encodeFullBlock,
  encodeFullBlocks,
  encodeHash,
  encodeHashes,
} from '#node/net/transfer.ts'
import { DecodeError } from '#shared/fault.ts'
import type { BlockEnvelope, Package, WireMessage } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { makeEnvelope, makePackage } from '#test/unit/store/blocks.ts'

const genesis = makeEnvelope(null, { slot: 0 })

/** A chain of blocks with one package each. */
function chainOf(length: number, txBytes = 10) {
  const blocks: { envelope: BlockEnvelope; packages: (Package | null)[] }[] = []
  let parent = genesis
  for (let slot = 1; slot <= length; slot++) {
    const item = makePackage({ slot, lane: 0, parentHash: parent.hash, txs: [new Uint8Array(txBytes).fill(slot)] })
    const packages = [item, null]
    parent = makeEnvelope(parent, { slot, packages })
    blocks.push({ envelope: parent, packages })
  }
  return blocks
}

type Blocks = ReturnType<typeof chainOf>

function serviceOf(blocks: Blocks) {
  const byHash = new Map(blocks.map((block) => [block.envelope.hash, block]))
  const packages = new Map(blocks.flatMap((block) => block.packages.flatMap((item) => (item === null ? [] : [[item.hash, item] as const]))))
  const chain = {
    hashByNumber: (number: number) => (number === 0 ? genesis.hash : (blocks[number - 1]?.envelope.hash ?? null)),
    envelope: (hash: Hash) => byHash.get(hash)?.envelope ?? null,
    package: (hash: Hash) => packages.get(hash) ?? null,
    store: { packageHashes: (hash: Hash) => byHash.get(hash)?.packages.map((item) => item?.hash ?? null) ?? null },
  }
  return createPeerService({ chain: chain as never, recent: createRecent() })
}

/** What was thrown that is not a refusal of malformed input. */
function faultOf(run: () => unknown): unknown {
  try {
    run()
    return null
  } catch (cause) {
    return cause instanceof DecodeError ? null : cause
  }
}

describe('handing over', () => {
  const blocks = chainOf(70)

  it('gives ranges of at most 64 blocks with their bodies', async () => {
    const answer = await serviceOf(blocks)('blocks', encodeBlockRange({ from: 1, count: 64 }), 'p')
    expect(decodeFullBlocks(answer ?? new Uint8Array(0))).toEqual(blocks.slice(0, 64))
    const rest = await serviceOf(blocks)('blocks', encodeBlockRange({ from: 65, count: 64 }), 'p')
    expect(decodeFullBlocks(rest ?? new Uint8Array(0))).toEqual(blocks.slice(64))
    expect(() => decodeBlockRange(encodeBlockRange({ from: 1, count: 65 }))).toThrow(DecodeError)
  })

  it('cuts a range before the answer gets too large', async () => {
    const heavy = chainOf(40, 200_000)
    const answer = (await serviceOf(heavy)('blocks', encodeBlockRange({ from: 1, count: 40 }), 'p')) ?? new Uint8Array(0)
    expect(answer.length).toBeLessThan(8 * 1024 * 1024)
    const got = decodeFullBlocks(answer)
    expect(got.length).toBeGreaterThan(5)
    expect(got.length).toBeLessThan(40)
  })

  it('gives single blocks and packages by hash, and nothing for unknown hashes or malformed requests', async () => {
    const service = serviceOf(blocks)
    const [first] = blocks
    const hash = first?.envelope.hash ?? '0x'
    const packageHash = first?.packages[0]?.hash ?? '0x'
    expect(decodeFullBlock((await service('block', encodeHash(hash), 'p')) ?? new Uint8Array(0))).toEqual(first)
    expect(
      decodePackages((await service('packages', encodeHashes([packageHash, `0x${'00'.repeat(32)}`]), 'p')) ?? new Uint8Array(0)),
    ).toEqual([first?.packages[0]])
    expect(await service('block', new Uint8Array(32), 'p')).toBeNull()
    expect(await service('block', new Uint8Array(31), 'p')).toBeNull()
    expect(await service('packages', Uint8Array.of(1, 2), 'p')).toBeNull()
    expect(() => decodeHashes(encodeHashes(Array.from({ length: 33 }, () => hash)))).toThrow(DecodeError)
  })

  it('throws nothing but DecodeError on any bytes', () => {
    const decoders = [decodeBlockRange, decodeHashes, decodeFullBlock, decodeFullBlocks, decodePackages]
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const decode of decoders) expect(faultOf(() => decode(bytes))).toBeNull()
      }),
    )
    const good = encodeFullBlocks(blocks.slice(0, 2).map(encodeFullBlock))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
        const bad = good.slice()
        bad[at] = byte
        expect(faultOf(() => decodeFullBlocks(bad))).toBeNull()
      }),
    )
  })
})

type Peer = Readonly<{ id: string; head: number; answer: (kind: string, body: Uint8Array) => Promise<Uint8Array | null> }>

function syncerOf(peers: readonly Peer[], isTaken: (message: WireMessage, from: string) => boolean = () => true) {
  const delivered: string[] = []
  const stored = new Set<Hash>()
  const penalties: string[] = []
  const notices: string[] = []
  let head = genesis
  const parts: SyncerParts = {
    chain: {
      envelope: (hash: Hash) => (stored.has(hash) ? genesis : null),
      head: () => head,
      finalized: () => genesis,
    },
    network: () => ({
      request: async (id, kind, body) => peers.find((peer) => peer.id === id)?.answer(kind, body) ?? null,
      peers: () => peers.map(({ id, head: headNumber }) => ({ id, validator: null, points: 0, status: { headNumber } as never })),
      penalize: (id, fault) => penalties.push(`${id} ${fault}`),
    }),
    recent: createRecent(),
    deliver: (message: WireMessage, from: string) => {
      const name = message.kind === 'block' ? message.block.header.number : message.kind
      delivered.push(`${from} ${name}`)
      if (!isTaken(message, from)) return false
      if (message.kind !== 'block') return true
      stored.add(message.block.hash)
      head = message.block
      return true
    },
    onNotice: (event, fields) => notices.push(`${event} ${JSON.stringify(fields)}`),
  }
  return { syncer: createSyncer(parts), delivered, penalties, notices, recent: parts.recent }
}
const settle = (ms = 300) => new Promise((resolve) => setTimeout(resolve, ms))
const honest = (id: string, blocks: Blocks): Peer => {
  const service = serviceOf(blocks)
  return { id, head: blocks.length, answer: (kind, body) => service(kind as never, body, 'me') }
}

describe('fetching', () => {
  it('brings all blocks of the peer that has most, in order', async () => {
    const { syncer, delivered, notices } = syncerOf([honest('short', chainOf(3)), honest('long', chainOf(130))])
    syncer.sync(0)
    syncer.sync(0)
    await settle(600)
    expect(delivered).toEqual(Array.from({ length: 130 }, (_, index) => `long ${index + 1}`))
    expect(notices).toHaveLength(1)
  })

  it('goes to the next peer when one is silent or sends nonsense, and the latter pays', async () => {
    const silent: Peer = { id: 'silent', head: 99, answer: async () => null }
    const liar: Peer = { id: 'liar', head: 98, answer: async () => Uint8Array.of(1, 2, 3) }
    const { syncer, delivered, penalties } = syncerOf([silent, liar, honest('good', chainOf(2))])
    syncer.sync(0)
    await settle()
    expect(delivered).toEqual(['good 1', 'good 2'])
    expect(penalties).toEqual(['liar RLP_INVALID'])
  })

  it('takes from others what a peer that claims most does not give', async () => {
    const blocks = chainOf(3)
    const boaster: Peer = { id: 'boaster', head: 1e9, answer: async () => Uint8Array.of(0xc0) }
    const partial: Peer = { ...honest('partial', blocks.slice(0, 1)), head: 1e6 }
    const { syncer, delivered, notices } = syncerOf([boaster, partial, honest('good', blocks)])
    syncer.sync(0)
    await settle()
    expect(delivered).toEqual(['partial 1', 'good 2', 'good 3'])
    expect(notices).toEqual(['synced {"from":0,"to":3}'])
  })

  it('asks the named peer first, then others, for one object, and takes no other object for it', async () => {
    const blocks = chainOf(3)
    const wanted = blocks[1]?.envelope.hash ?? '0x'
    const asked: string[] = []
    const service = serviceOf(blocks)
    const wrong: Peer = {
      id: 'wrong',
      head: 0,
      answer: (kind) => {
        asked.push('wrong')
        return service(kind as never, encodeHash(blocks[0]?.envelope.hash ?? '0x'), 'me')
      },
    }
    const { syncer, delivered } = syncerOf([honest('good', blocks), wrong])
    syncer.fetch('block', wanted, 'wrong')
    await settle()
    expect(asked).toEqual(['wrong'])
    expect(delivered).toEqual(['good 2'])
  })

  it('loses no time with a peer whose blocks the machine does not take', async () => {
    const invented = { ...honest('liar', chainOf(3, 99)), head: 1e9 }
    const { syncer, delivered } = syncerOf([invented, honest('good', chainOf(2))], (_message, from) => from === 'good')
    syncer.sync(0)
    await settle()
    expect(delivered).toEqual(['liar 1', 'liar 2', 'liar 3', 'good 1', 'good 2'])
  })

  it('does not wait for a peer that keeps silent when others have the object', async () => {
    const blocks = chainOf(1)
    const mute: Peer = { id: 'mute', head: 0, answer: () => new Promise(() => undefined) }
    const { syncer, delivered } = syncerOf([mute, honest('good', blocks)])
    syncer.fetch('block', blocks[0]?.envelope.hash ?? '0x', null)
    await settle(800)
    expect(delivered).toEqual(['good 1'])
  })

  it('keeps the bodies of a fetched block for the machine, and asks others when it refuses them', async () => {
    const blocks = chainOf(1)
    const item = blocks[0]?.packages[0]
    if (item === undefined || item === null) throw new Error('a package')
    const peers = [honest('first', blocks), honest('second', blocks)]
    const { syncer, delivered, recent } = syncerOf(peers, (message, from) => message.kind === 'block' || from === 'second')
    syncer.fetch('block', blocks[0]?.envelope.hash ?? '0x', 'first')
    await settle(50)
    expect(recent.package(item.hash)).toBeNull()
    syncer.fetch('package', item.hash, 'second')
    await settle(50)
    expect(delivered).toEqual(['first 1', 'first package', 'second package'])
  })

  it('hands over a package that is still in memory without asking anybody', async () => {
    const [block] = chainOf(1)
    const item = block?.packages[0]
    if (item === undefined || item === null) throw new Error('a package')
    const { syncer, delivered, recent } = syncerOf([])
    recent.remember({ kind: 'package', package: item })
    syncer.fetch('package', item.hash, 'p')
    await settle(10)
    expect(delivered).toEqual(['p package'])
  })
})
