/** Real libp2p nodes on loopback: gossip, requests, identities, and what hostile peers achieve. @module */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { Network, NetworkConfig, Verdict } from '#node/net/network.ts'
import { createNetwork } from '#node/net/network.ts'
import { GOSSIP_BYTES_MAX } from '#node/net/topics.ts'
import { bytesToHex, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Address, Hash } from '#shared/types.ts'

const GENESIS: Hash = `0x${'ab'.repeat(32)}`
const PROGRESS = { headNumber: 7, headHash: `0x${'11'.repeat(32)}`, finalizedNumber: 5, finalizedHash: `0x${'22'.repeat(32)}` } as const
const started: Network[] = []

afterEach(async () => {
  await Promise.all(started.splice(0).map((network) => network.stop()))
})

const addressOf = (index: number): Address => `0x${index.toString(16).padStart(40, '0')}`
const keys = Array.from({ length: 4 }, () => generateKeyPairSync('ed25519'))

type Options = Partial<NetworkConfig> & { index?: number; signWith?: KeyObject }

async function start(options: Options = {}): Promise<Network> {
  const index = options.index ?? 0
  const key = options.signWith ?? keys[index]?.privateKey
  const network = await createNetwork({
    genesisHash: GENESIS,
    listenHost: '127.0.0.1',
    listenPort: 0,
    peers: [],
    identity: { address: addressOf(index), sign: (message) => bytesToHex(sign(null, message, key as KeyObject)) },
    verifyIdentity: (address, message, proof) => {
      const publicKey = keys[Number(address)]?.publicKey
      return publicKey !== undefined && verify(null, message, publicKey, hexToBytes(proof))
    },
    progress: () => PROGRESS,
    onMessage: () => 'accept',
    onRequest: async () => null,
    onStatus: () => undefined,
    onNotice: () => undefined,
    now: Date.now,
    ...options,
  })
  started.push(network)
  return network
}

async function until(condition: () => boolean, what: string, timeoutMs = 8000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const pair = async (left: Options, right: Options): Promise<[Network, Network]> => {
  const first = await start({ index: 0, ...left })
  const second = await start({ index: 1, peers: first.addresses(), ...right })
  return [first, second]
}

const met = (...networks: Network[]) => until(() => networks.every((network) => network.peers().length > 0), 'the nodes met')

describe('peer-to-peer network', () => {
  it('shows each side the validator and progress of the other', async () => {
    const [first, second] = await pair({}, {})
    await met(first, second)
    expect(first.peers().map((peer) => peer.validator)).toEqual([addressOf(1)])
    expect(second.peers()[0]?.status).toMatchObject({ ...PROGRESS, validator: addressOf(0) })
  })

  it('passes an accepted message on over a node in the middle and drops ignored ones there', async () => {
    const heard: string[] = []
    const middleVerdict = (bytes: Uint8Array): Verdict => (bytes[0] === 1 ? 'accept' : 'ignore')
    const middle = await start({ index: 0, onMessage: (_kind, bytes) => middleVerdict(bytes) })
    const left = await start({ index: 1, peers: middle.addresses() })
    const right = await start({
      index: 2,
      peers: middle.addresses(),
      onMessage: (kind, bytes) => {
        heard.push(`${kind}:${bytesToHex(bytes)}`)
        return 'accept'
      },
    })
    await met(left, right)
    await until(() => middle.peers().length === 2, 'both ends met the middle')
    // Meshes form at a heartbeat; a message before it may go nowhere.
    await until(() => {
      left.publish('vote', Uint8Array.of(2, heard.length))
      left.publish('vote', Uint8Array.of(1, Math.floor(Date.now() / 100) % 256))
      return heard.length > 0
    }, 'a message arrived')
    expect(heard.every((line) => line.startsWith('vote:0x01'))).toBe(true)
  })

  it('answers requests, refuses with null, and gives null for a stranger', async () => {
    const [first, second] = await pair({ onRequest: async (kind, body) => (kind === 'blocks' ? Uint8Array.of(...body, 9) : null) }, {})
    await met(first, second)
    const peer = second.peers()[0]?.id ?? ''
    expect(await second.request(peer, 'blocks', Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2, 9))
    expect(await second.request(peer, 'blocks', new Uint8Array(0))).toEqual(Uint8Array.of(9))
    expect(await second.request(peer, 'packages', Uint8Array.of(1))).toBeNull()
    expect(await second.request('nobody', 'blocks', Uint8Array.of(1))).toBeNull()
  })

  it('carries an answer of several megabytes whole', async () => {
    const big = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251)
    const [first, second] = await pair({ onRequest: async () => big }, {})
    await met(first, second)
    const answer = await second.request(second.peers()[0]?.id ?? '', 'blocks', Uint8Array.of(0))
    expect(answer?.length).toBe(big.length)
    expect(Buffer.compare(answer ?? Buffer.alloc(0), big)).toBe(0)
  })

  it('gives no peer more than 64 megabytes at once', async () => {
    const answer = new Uint8Array(4_000_000)
    const [first, second] = await pair({ now: () => 1_000_000, onRequest: async () => answer }, {})
    await met(first, second)
    const peer = second.peers()[0]?.id ?? ''
    let given = 0
    for (let request = 0; request < 20; request++) if ((await second.request(peer, 'blocks', Uint8Array.of(0))) !== null) given++
    expect(given).toBe(16)
  }, 30_000)

  it('refuses an answer above its limit and a request above its limit', async () => {
    let served = 0
    const [first, second] = await pair(
      {
        onRequest: async () => {
          served++
          return new Uint8Array(5_000_000)
        },
      },
      {},
    )
    await met(first, second)
    const peer = second.peers()[0]?.id ?? ''
    expect(await second.request(peer, 'packages', Uint8Array.of(0))).toBeNull()
    expect(served).toBe(1)
    expect(await second.request(peer, 'packages', new Uint8Array(5000))).toBeNull()
    expect(served).toBe(1)
  })

  it('parts from a peer of another chain and from one that claims a validator it is not', async () => {
    const first = await start({ index: 0 })
    const stranger = await start({ index: 1, peers: first.addresses(), genesisHash: `0x${'cd'.repeat(32)}` })
    const liar = await start({ index: 1, peers: first.addresses(), signWith: generateKeyPairSync('ed25519').privateKey })
    const honest = await start({ index: 2, peers: first.addresses() })
    await met(honest, first)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(first.peers().map((peer) => peer.validator)).toEqual([addressOf(2)])
    expect(stranger.peers()).toEqual([])
    expect(liar.peers().length).toBeLessThanOrEqual(1)
  })

  it('cuts off a peer that keeps sending what is wrong whatever the head, and not one whose messages only do not fit the head', async () => {
    const faults: string[] = []
    const [first, second] = await pair(
      {
        onMessage: (_kind, bytes) => (bytes[0] === 0xff ? 'reject' : 'ignore'),
        onNotice: (event, fields) => {
          if (event === 'peer-fault') faults.push(String(fields['fault']))
        },
      },
      {},
    )
    await met(first, second)
    for (let count = 0; count < 40; count++) second.publish('vote', Uint8Array.of(0, count))
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(first.peers()).toHaveLength(1)
    expect(faults).toEqual([])
    second.publish('vote', new Uint8Array(GOSSIP_BYTES_MAX.vote + 1))
    await until(() => faults.length === 1, 'the oversized message was counted')
    expect(faults).toEqual(['GOSSIP_TOO_LARGE'])
    for (let count = 0; count < 12; count++) second.publish('vote', Uint8Array.of(0xff, count))
    await until(() => first.peers().length === 0, 'the peer was cut off')
    expect(faults.filter((fault) => fault === 'GOSSIP_REJECTED').length).toBeGreaterThanOrEqual(7)
  })

  it('hears the votes of a peer whose transactions have used up their allowance', async () => {
    const heard = { tx: 0, vote: 0, cosig: 0 }
    const [first, second] = await pair(
      {
        // The clock stands still, so that no allowance comes back.
        now: () => 1_000_000,
        onMessage: (kind) => {
          if (kind === 'tx' || kind === 'vote' || kind === 'cosig') heard[kind]++
          return 'accept'
        },
      },
      {},
    )
    await met(first, second)
    let tries = 0
    // Until the two have told each other what they listen to.
    await until(() => {
      second.publish('cosig', Uint8Array.of(tries++))
      return heard.cosig > 0
    }, 'gossip flows')
    const size = GOSSIP_BYTES_MAX.tx
    const allowed = (16 * 1024 * 1024) / size
    for (let index = 0; index < allowed + 8; index++) {
      const bytes = new Uint8Array(size)
      new DataView(bytes.buffer).setUint32(0, index)
      second.publish('tx', bytes)
      if (index % 8 === 7) await until(() => heard.tx >= Math.min(allowed, index + 1), 'the transactions come')
    }
    second.publish('vote', Uint8Array.of(1))
    await until(() => heard.vote === 1, 'the vote comes')
    expect(heard.tx).toBe(allowed)
  }, 30_000)

  it('finds a peer that starts late and finds it again after a restart', async () => {
    const placeholder = await start({ index: 0 })
    const address = placeholder.addresses()[0] ?? ''
    const port = Number(/tcp\/(\d+)/.exec(address)?.[1])
    await placeholder.stop()
    const second = await start({ index: 1, peers: [`/ip4/127.0.0.1/tcp/${port}`] })
    const late = await start({ index: 0, listenPort: port })
    await met(late, second)
    await late.stop()
    await until(() => second.peers().length === 0, 'the stop was noticed')
    const again = await start({ index: 0, listenPort: port })
    await met(again, second)
    expect(second.peers().map((peer) => peer.validator)).toEqual([addressOf(0)])
  })

  it('survives bytes that are no protocol at all on its port', async () => {
    const first = await start({ index: 0 })
    const port = Number(/tcp\/(\d+)/.exec(first.addresses()[0] ?? '')?.[1])
    const { connect } = await import('node:net')
    for (let round = 0; round < 5; round++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(utf8ToBytes('GET / HTTP/1.1\r\n\r\n'.repeat(100)))
      await new Promise((resolve) => setTimeout(resolve, 30))
      socket.destroy()
    }
    const second = await start({ index: 1, peers: first.addresses() })
    await met(first, second)
    expect(first.peers()).toHaveLength(1)
  })
})
