/** A chain in memory with the native transactions switched on, and hands for those who use it. @module */
import { createNatives } from '#node/evm/native/natives.ts'
import type { Natives } from '#node/evm/native/natives.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import { parentViewOf } from '#node/evm/parent-view.ts'
import { predeploys } from '#node/evm/native/predeploys.ts'
import { triggerDecoder } from '#node/evm/precompile.ts'
import type { Execution } from '#node/evm/types.ts'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { bytesToHex, compareHex, hexToBytes } from '#shared/bytes.ts'
import { genesisHash } from '#shared/chain/genesis.ts'
import type { Log, Receipt } from '#shared/chain/types.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import type { Reading } from '#shared/codec/solidity-storage.ts'
import { BATCH_TYPE, batchMessage } from '#shared/oracle/batch.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import { sortedSet } from '#shared/oracle/set-storage.ts'
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx, Batch, Leaf } from '#shared/oracle/types.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import { CALLING_LIST, FEED_REGISTRY, TRIGGER_DECODER } from '#shared/system.ts'
import { readRow } from '#shared/trigger/calling-list.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { entryId } from '#shared/trigger/ids.ts'
import { decodeTriggerTx, encodeTriggerTx, triggerTxDigest } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Entry, TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'
import { ChainFixture, FSN, accounts, addressOf, validators } from '#test/unit/evm/chain-fixture.ts'
import { suite } from '#test/unit/evm/support.ts'
import { decodeEventLog, encodeDeployData, encodeFunctionData } from 'viem'
import type { Abi } from 'viem'
import type { HDAccount } from 'viem/accounts'

export { FSN, accounts, addressOf, validators }
export const AUTHOR: Address = validators[0]?.address ?? '0x'
export const START_MS = 1_700_000_000_500
export const SLOT_MS = DEVNET_PARAMS.slotMs
/** Call gas with which a timing trigger takes all but half of the block's trigger budget: two fit, three do not. */
export const HALF_BUDGET_GAS = Number(DEVNET_PARAMS.blockGasLimit / 8n) - 26_000
const account = (index: number): HDAccount => {
  const found = accounts[index]
  if (found === undefined) throw new Error('no such account')
  return found
}
/** Owner of triggers, edge operator, stranger. */
export const [OWNER, EDGE, STRANGER] = [account(0), account(1), account(2)]
export const owner = addressOf(OWNER)
/** Four providers in the order of their addresses. */
export const PROVIDERS = [3, 4, 5, 6].map(account).toSorted((left, right) => compareHex(addressOf(left), addressOf(right)))

/** The set that tests register: one shard, two feeds. */
export const SET_SPEC: SourceSetSpec = sortedSet(
  {
    name: 'demo',
    kind: 'provider',
    owner,
    members: PROVIDERS.map(addressOf),
    roundMs: SLOT_MS,
    fundingWei: 10n * FSN,
    shards: [
      [
        { name: 'price', decimals: 2, deviationPpm: 0, heartbeatSec: 60 },
        { name: 'rain', decimals: 1, deviationPpm: 0, heartbeatSec: 60 },
      ],
    ],
  },
  suite,
)
export const SET = sourceSetId(owner, 'demo', suite)
export const PRICE = feedId(SET, 'price', suite)
export const RAIN = feedId(SET, 'rain', suite)

type Sent = Readonly<{ to?: Address; data?: Hex; value?: Wei; gas?: bigint }>
/** An event by name, with its arguments. */
export type SeenEvent = Readonly<{ name: string; args: Readonly<Record<string, unknown>> }>

/** Signs a digest with viem and puts the signature into the protocol's form. */
export async function signDigest(by: HDAccount, digest: Uint8Array): Promise<Hex> {
  return toCanonicalSignature(await by.sign({ hash: bytesToHex(digest) }))
}

export class NativeChain {
  readonly fixture: ChainFixture
  readonly natives: Natives
  readonly genesisHash: Hash
  readonly #laneCount: number
  readonly #self: Address | null
  /** Signed since the last block. */
  readonly #pending = new Map<Address, number>()

  /** `operators`: accounts that may run a party from the start. */
  constructor(laneCount = 1, self: Address | null = AUTHOR, operators: readonly Address[] = validators.map(({ address }) => address)) {
    const params = { ...DEVNET_PARAMS, laneCount }
    let natives: Natives | null = null
    const rules = (): Natives['executors'] => {
      if (natives === null) throw new Error('not yet')
      return natives.executors
    }
    this.fixture = new ChainFixture({
      params: { laneCount },
      predeploys: predeploys(`0x${'00'.repeat(32)}`, [], suite, {
        heartbeatBlocks: params.heartbeatBlocks,
        validators: operators,
      }),
      precompiles: new Map([[TRIGGER_DECODER, triggerDecoder(params.blockGasLimit)]]),
      natives: {
        trigger: (...parts) => rules().trigger(...parts),
        attestation: (...parts) => rules().attestation(...parts),
        scheduledAtMs: (...parts) => rules().scheduledAtMs(...parts),
        omittedLanes: (...parts) => rules().omittedLanes(...parts),
      },
    })
    this.genesisHash = genesisHash(this.fixture.document, suite.keccak256)
    this.#laneCount = laneCount
    this.#self = self
    natives = this.freshNatives()
    this.natives = natives
  }

  /** Rules that have seen nothing of the chain yet. */
  freshNatives(): Natives {
    const { params } = this.fixture
    const natives = createNatives({
      params,
      suite,
      config: {
        chainId: params.chainId,
        genesisHash: this.genesisHash,
        genesisTimeMs: START_MS,
        slotMs: params.slotMs,
        laneCount: this.#laneCount,
        powTries: 1,
        idleSlots: params.idleSlots,
        validators,
        self: this.#self,
      },
      nowMs: () => 0,
    })
    natives.attach(this.fixture.context, { head: () => ({ ...this.fixture.head, certificates: [], votes: [] }) })
    return natives
  }

  parentView(): ParentView {
    return parentViewOf(this.fixture.context, this.fixture.head.hash, this.header)
  }

  get header() {
    return this.fixture.head.header
  }

  get timeMs(): number {
    return START_MS + this.header.slot * SLOT_MS
  }

  read<T>(reading: Reading<T>): T {
    return readFrom(reading, this.fixture.view)
  }

  entry(id: Hash): Entry {
    const row = this.read(readRow(id, suite))
    if (row === null) throw new Error('no such entry')
    return row.entry
  }

  async sign(by: HDAccount, { to, data = '0x', value = 0n, gas = 2_000_000n }: Sent): Promise<Hex> {
    const pending = this.#pending.get(addressOf(by)) ?? 0
    this.#pending.set(addressOf(by), pending + 1)
    const nonce = Number(this.fixture.view.account(addressOf(by))?.nonce ?? 0n) + pending
    return this.fixture.sign(by, { nonce, data, value, gas, ...(to !== undefined && { to }) })
  }

  /** A block with these transactions, as the author's package in lane 0. */
  async block(txs: readonly Hex[] = [], slot = this.header.slot + 1): Promise<Execution> {
    this.#pending.clear()
    return this.fixture.advance([txs, ...Array.from({ length: this.fixture.params.laneCount - 1 }, () => [] as Hex[])], slot)
  }

  /** A block whose user transactions must all succeed. */
  async settle(...txs: readonly Hex[]): Promise<readonly Receipt[]> {
    const { receipts, skipped } = await this.block(txs)
    if (skipped.length > 0 || receipts.some(({ status }) => status === 0)) throw new Error(`failed: ${skipped[0]?.code ?? 'reverted'}`)
    return receipts
  }

  async deploy(abi: Abi, bytecode: Hex, args: readonly unknown[], value: Wei = 0n): Promise<Address> {
    const [receipt] = await this.settle(await this.sign(OWNER, { data: encodeDeployData({ abi, bytecode, args }), value }))
    const address = receipt?.contractAddress
    if (address === null || address === undefined) throw new Error('not deployed')
    return address
  }

  call(
    functionName: 'register' | 'revise' | 'pause' | 'resume' | 'fund' | 'withdraw' | 'cancel' | 'activate' | 'deposit',
    args: readonly unknown[],
  ): Sent {
    return { to: CALLING_LIST, data: encodeFunctionData({ abi: callingListAbi as Abi, functionName, args }) }
  }

  /** Registers for the owner and returns the entry's id. */
  async register(description: TriggerDescription, value: Wei = FSN): Promise<Hash> {
    const counter = this.#registered++
    await this.settle(await this.sign(OWNER, { ...this.call('register', [bytesToHex(encodeDescription(description))]), value }))
    return entryId(owner, BigInt(counter))
  }

  #registered = 0

  async registerSet(spec = SET_SPEC): Promise<void> {
    const data = encodeFunctionData({
      abi: feedRegistryAbi,
      functionName: 'registerSourceSet',
      args: [spec.name, spec.kind === 'provider' ? 1 : 2, [...spec.members], spec.roundMs, spec.shards.map((feeds) => [...feeds])],
    })
    await this.settle(await this.sign(OWNER, { to: FEED_REGISTRY, data, value: spec.fundingWei }))
  }

  /** What the author would insert into a block in this slot. */
  async due(slot = this.header.slot + 1, lane = 0): Promise<readonly Hex[]> {
    return (await this.natives.dueTriggers(this.header, lane, slot)).map((raw) => bytesToHex(raw))
  }

  /** A block with what the author inserts. */
  async run(slot = this.header.slot + 1, txs: readonly Hex[] = []): Promise<Execution> {
    return this.block([...(await this.due(slot)), ...txs], slot)
  }

  async signTrigger(by: HDAccount, raw: Hex, change: Partial<TriggerTx> = {}): Promise<Hex> {
    const unsigned: TriggerTx = { ...decodeTriggerTx(hexToBytes(raw)), beneficiary: addressOf(by), ...change, signature: null }
    const signature = await signDigest(by, triggerTxDigest(unsigned, this.genesisHash, suite))
    const [r, s, yParity] = [
      `0x${signature.slice(2, 66)}` as Hex,
      `0x${signature.slice(66, 130)}` as Hex,
      signature.endsWith('1') ? 1 : 0,
    ] as const
    return bytesToHex(encodeTriggerTx({ ...unsigned, signature: { r, s, yParity } }))
  }

  async batch(by: HDAccount, round: number, leaves: readonly Leaf[], change: Partial<Batch> = {}): Promise<Batch> {
    const unsigned = {
      sourceSet: SET,
      shard: 0,
      round,
      observedAtMs: round * SLOT_MS + 100,
      leaves: leaves.toSorted((left, right) => compareHex(left.feed, right.feed)),
      ...change,
    }
    const signature = await by.signTypedData({
      domain: attestationDomain(this.genesisHash),
      types: { Batch: BATCH_TYPE.members },
      primaryType: 'Batch',
      message: batchMessage(unsigned, suite),
    })
    return { ...unsigned, provider: addressOf(by), signature: toCanonicalSignature(signature) }
  }

  /** Round that a block in this slot can carry. */
  roundAt(slot = this.header.slot + 1): number {
    return Math.floor((START_MS + slot * SLOT_MS) / SLOT_MS) - 1
  }

  async attestation(round: number, batches: readonly Batch[], change: Partial<AttestationTx> = {}): Promise<Hex> {
    const sorted = batches.toSorted((left, right) => compareHex(left.provider, right.provider))
    const unsigned = { chainId: DEVNET_PARAMS.chainId, sourceSet: SET, shard: 0, round, batches: sorted, ...change }
    const signature = await signDigest(EDGE, attestationTxDigest(unsigned, this.genesisHash, suite))
    return bytesToHex(encodeAttestationTx({ submitter: addressOf(EDGE), signature, ...unsigned }))
  }

  /** An attestation of a price by the first three providers, for a block in this slot. */
  async priceTx(value: bigint, slot = this.header.slot + 1): Promise<Hex> {
    const round = this.roundAt(slot)
    const batches = await Promise.all(PROVIDERS.slice(0, 3).map((by) => this.batch(by, round, [leaf(PRICE, value)])))
    return this.attestation(round, batches)
  }
}

export const leaf = (feed: Hash, value: bigint, change: Partial<Leaf> = {}): Leaf => ({
  feed,
  value,
  confidence: 0n,
  low: value,
  high: value,
  status: 'OK',
  ...change,
})

/** Events of logs, as viem reads them with the contracts' ABI. */
export function eventsOf(logs: readonly Log[], abi: Abi): readonly SeenEvent[] {
  return logs.flatMap((log) => {
    try {
      const decoded: unknown = decodeEventLog({ abi, data: bytesToHex(log.data), topics: [...log.topics] as [Hex, ...Hex[]] })
      const { eventName, args = {} } = decoded as Readonly<{ eventName: string; args?: SeenEvent['args'] }>
      return [{ name: eventName, args }]
    } catch {
      return []
    }
  })
}
export const listEvents = (receipt: Receipt | undefined): readonly SeenEvent[] =>
  eventsOf(
    (receipt?.logs ?? []).filter(({ address }) => address === CALLING_LIST),
    callingListAbi as Abi,
  )
export const feedEvents = (receipt: Receipt | undefined): readonly SeenEvent[] =>
  eventsOf(
    (receipt?.logs ?? []).filter(({ address }) => address === FEED_REGISTRY),
    feedRegistryAbi as Abi,
  )
