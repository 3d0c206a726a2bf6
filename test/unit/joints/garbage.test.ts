/**
 * A whole validator, with its real network, pool and chain, and a peer that sends it everything wrong on every topic and stream.
 * It stays up and goes on; the peer pays for what is wrong whatever the head, and for nothing else.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeNode } from '#node/compose.ts'
import { loadOrCreateDevnet } from '#node/genesis-tool.ts'
import type { Logger } from '#node/log.ts'
import { createNetwork } from '#node/net/network.ts'
import type { Network } from '#node/net/network.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_KINDS, REQUEST_KINDS } from '#node/net/topics.ts'
import type { GossipKind } from '#node/net/topics.ts'
import { validatorDir } from '#node/supervisor/parts.ts'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { encodeWireMessage } from '#shared/hhcm/wire.ts'
import { attestationTxDigest, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { sampleBlock, sampleCertificate, sampleCoSignature, samplePackage, sampleVote } from '#test/unit/hhcm/samples.ts'
import * as oracle from '#test/unit/oracle/fixture.ts'
import { CHAIN_ID, addressOf, dev, signed } from '#test/unit/pool/fake-chain.ts'
import { ownTrigger, trigger } from '#test/unit/pool/native.ts'
import { hashOf } from '#test/unit/store/blocks.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'fusion-garbage-'))
const { document, genesisHash } = loadOrCreateDevnet(folder, { chainId: CHAIN_ID }, 1)
type Line = Readonly<{ event: string; fields: Readonly<Record<string, unknown>> }>
const lines: Line[] = []
const fatal: unknown[] = []
const peers: Network[] = []
let stop: () => Promise<void> = () => Promise.resolve()

const note: Logger['info'] = (event, fields) => lines.push({ event, fields: fields ?? {} })
const started = (): Line['fields'] => lines.find(({ event }) => event === 'started')?.fields ?? {}

async function rpc(method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${String(started()['rpc'])}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  return ((await response.json()) as Readonly<{ result?: unknown }>).result
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 25_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never: ${what}\n${JSON.stringify(lines.slice(-20))}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

type Attacker = Readonly<{ network: Network; id: string; faults: () => string[] }>

async function attacker(): Promise<Attacker> {
  const network = await createNetwork({
    genesisHash,
    listenHost: '127.0.0.1',
    listenPort: 0,
    peers: [String(started()['p2p'])],
    identity: null,
    verifyIdentity: () => true,
    progress: () => ({ headNumber: 0, headHash: genesisHash, finalizedNumber: 0, finalizedHash: genesisHash }),
    onMessage: () => 'accept',
    onRequest: () => Promise.resolve(null),
    onStatus: () => undefined,
    onNotice: () => undefined,
    now: Date.now,
  })
  peers.push(network)
  const id = network.addresses()[0]?.split('/p2p/')[1] ?? ''
  const faults = (): string[] =>
    lines.filter(({ event, fields }) => event === 'peer-fault' && fields['peer'] === id).map(({ fields }) => String(fields['fault']))
  await until(() => network.peers().length > 0, 'the attacker is connected')
  const one = { network, id, faults }
  await probe(one)
  return one
}

let probes = 0

/** A good transaction that has arrived: so the topics are joined, and all that was sent before it has arrived as well. */
async function probe({ network }: Attacker): Promise<void> {
  let tries = 0
  const hashes: string[] = []
  await until(async () => {
    // What was published before the node's topics were known is lost, and the same bytes are never sent again.
    if (tries++ % 10 === 0) {
      const raw = await signed(9, { nonce: probes++ })
      hashes.push(bytesToHex(keccak_256(raw)))
      network.publish('tx', raw)
    }
    const known = await Promise.all(hashes.map((hash) => rpc('eth_getTransactionByHash', [hash])))
    return known.some((found) => found !== null)
  }, 'a good transaction arrives')
}

/** Sends each once and waits until as many faults are counted. */
async function provoke({ network, faults }: Attacker, kind: GossipKind, messages: readonly Uint8Array[]): Promise<void> {
  const wanted = faults().length + messages.length
  for (const message of messages) network.publish(kind, message)
  await until(() => faults().length >= wanted, `${messages.length} faults on ${kind}`)
}

/** Well-formed objects of validators that this chain does not have. */
const FOREIGN = {
  package: encodeWireMessage({ kind: 'package', package: samplePackage }),
  cosig: encodeWireMessage({ kind: 'coSignature', coSignature: sampleCoSignature }),
  cert: encodeWireMessage({ kind: 'certificate', certificate: sampleCertificate }),
  block: encodeWireMessage({ kind: 'block', block: sampleBlock }),
  vote: encodeWireMessage({ kind: 'vote', vote: sampleVote }),
} as const
const noise = (kind: GossipKind, size: number): Uint8Array =>
  concatBytes(
    utf8ToBytes(kind),
    Uint8Array.from({ length: size }, (_, index) => (index * 7919 + 13) % 256),
  )

beforeAll(async () => {
  stop = await composeNode(
    {
      dataDir: folder,
      genesis: join(folder, 'genesis.json'),
      key: join(validatorDir(folder, 0), 'keys'),
      rpcHost: '127.0.0.1',
      rpcPort: 0,
      p2pHost: '127.0.0.1',
      p2pPort: 0,
      peers: [],
      edges: [],
      partyPassphraseFile: '',
      partyHost: '127.0.0.1',
      partyPort: 0,
      partyPublicUrl: '',
      partyRenewKeys: false,
      logLevel: 'debug',
    },
    { debug: note, info: note, warn: note, error: note, close: () => undefined },
    (cause) => fatal.push(cause),
  )
}, 60_000)

afterAll(async () => {
  await Promise.all(peers.map((network) => network.stop()))
  await stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('a validator under garbage', () => {
  it.each(GOSSIP_KINDS)('counts noise, oversize and misplaced objects on the topic %s', async (kind) => {
    const one = await attacker()
    const misplaced =
      kind === 'tx'
        ? ownTrigger(addressOf(0))
        : kind === 'trig'
          ? await signed(0, { nonce: 0 })
          : FOREIGN[kind === 'vote' ? 'cert' : 'vote']
    await provoke(one, kind, [noise(kind, 60), noise(kind, GOSSIP_BYTES_MAX[kind] + 1), misplaced])
    expect(one.faults().toSorted()).toEqual(['GOSSIP_REJECTED', 'GOSSIP_REJECTED', 'GOSSIP_TOO_LARGE'])
    expect(one.network.peers()).toHaveLength(1)
  })

  it('counts what is signed by strangers, for another chain, wrongly, or not at all', async () => {
    const one = await attacker()
    const [validator] = document.validators
    const currentSlot = (): number => Math.floor((Date.now() - document.genesisTimeMs) / document.params.slotMs)
    // Slot 0 is final from the start, and a vote for it stale.
    await until(() => currentSlot() > 0, 'a slot after genesis')
    const slot = currentSlot()
    const vote = { ...sampleVote, source: { ...sampleVote.source, slot: 0 }, target: { ...sampleVote.target, slot } }
    const forged = { ...vote, voter: validator?.address ?? '0x' }
    await provoke(
      one,
      'vote',
      [vote, forged].map((each) => encodeWireMessage({ kind: 'vote', vote: each })),
    )
    const elsewhere = await signed(1, { nonce: 0, chainId: 1 })
    await provoke(one, 'tx', [elsewhere, elsewhere.subarray(0, -1)])
    await provoke(one, 'trig', [ownTrigger(addressOf(0)), await trigger(0, { chainId: 1 }, genesisHash)])
    expect(new Set(one.faults())).toEqual(new Set(['GOSSIP_REJECTED']))
  })

  it('forgives what only does not fit its head: a peer ahead of it sends such things', async () => {
    const one = await attacker()
    const poor = await dev(77).signTransaction({
      type: 'eip1559',
      chainId: CHAIN_ID,
      nonce: 0,
      gas: 21_000n,
      maxFeePerGas: 10n ** 10n,
      maxPriorityFeePerGas: 1n,
      to: addressOf(1),
      value: 1n,
    })
    const batches = await Promise.all(
      oracle.accounts.slice(0, 1).map((by) => oracle.signBatch(by, oracle.batchAt(7, [oracle.leaf(oracle.feedA, 1n)]))),
    )
    const report = {
      chainId: CHAIN_ID,
      sourceSet: hashOf('set of a later block'),
      shard: 0,
      round: 7,
      batches: batches.map((batch) => ({ ...batch, sourceSet: hashOf('set of a later block') })),
    }
    const signature = toCanonicalSignature(await dev(0).sign({ hash: bytesToHex(attestationTxDigest(report, genesisHash, oracle.suite)) }))
    const early = [
      ['tx', hexToBytes(poor)],
      ['tx', await signed(2, { nonce: 9 })],
      ['trig', await trigger(0, { entryId: hashOf('entry of a later block') }, genesisHash)],
      ['trig', encodeAttestationTx({ ...report, submitter: addressOf(0), signature })],
    ] as const
    for (const [kind, bytes] of early) one.network.publish(kind, bytes)
    await probe(one)
    await provoke(one, 'tx', [await signed(3, { nonce: 1, chainId: 7 })])
    await probe(one)
    expect(one.faults()).toEqual(['GOSSIP_REJECTED'])
    expect(one.network.peers()).toHaveLength(1)
  })

  it('answers malformed requests on every stream with a refusal', async () => {
    const one = await attacker()
    const node = one.network.peers()[0]?.id ?? ''
    for (const kind of REQUEST_KINDS.filter((name) => name !== 'status')) {
      expect(await one.network.request(node, kind, noise('tx', 100))).toBeNull()
      expect(await one.network.request(node, kind, new Uint8Array(0))).toBeNull()
    }
  })

  it('outlives bytes that are no protocol on both of its ports', async () => {
    const thrown: unknown[] = []
    const note = (cause: unknown): number => thrown.push(cause)
    process.on('uncaughtException', note).on('unhandledRejection', note)
    const p2p = /\/tcp\/(\d+)/.exec(String(started()['p2p']))?.[1] ?? ''
    const rpcPort = String(started()['rpc'])
    const upgrade = 'GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n'
    const key = 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
    for (const [port, opening] of [
      [p2p, ''],
      [p2p, '\x13/multistream/1.0.0\n\x07/noise\n'],
      [rpcPort, ''],
      [rpcPort, 'POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n'],
      [rpcPort, upgrade + key],
    ] as const) {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.resume().write(concatBytes(utf8ToBytes(opening), noise('tx', 4000)))
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000))])
      socket.destroy()
    }
    expect(await rpc('net_version')).toBe(String(CHAIN_ID))
    await attacker()
    process.off('uncaughtException', note).off('unhandledRejection', note)
    expect(thrown).toEqual([])
  })

  it('has stayed up: it makes blocks, takes transactions, and nothing of it was thrown', async () => {
    const hash = await rpc('eth_sendRawTransaction', [bytesToHex(await signed(5, { nonce: 0 }))])
    await until(async () => (await rpc('eth_getTransactionReceipt', [hash])) !== null, 'the transaction in a block')
    expect(fatal).toEqual([])
    expect(lines.filter(({ event }) => /failed|refused/.test(event))).toEqual([])
  })
})
