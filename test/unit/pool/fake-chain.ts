/** A chain reader over hand-set accounts and blocks, and signed transactions from an independent library. @module */
import type { ChainReader } from '#node/chain-reader.ts'
import { createPool } from '#node/pool/pool.ts'
import type { PoolOptions } from '#node/pool/pool.ts'
import { hexToBytes } from '#shared/bytes.ts'
import type { Account, StateView } from '#shared/chain/types.ts'
import { createNativeSuite } from '#node/crypto/native.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'
import { GENESIS_HASH, hashOf, makeEnvelope, makeReceipt } from '#test/unit/store/blocks.ts'
import { mnemonicToAccount } from 'viem/accounts'
import type { HDAccount } from 'viem/accounts'
import type { TransactionSerializable } from 'viem'

export const CHAIN_ID = 81920
export const FSN = 10n ** 18n
export const GWEI = 10n ** 9n
const suite = await createNativeSuite()
const zero32: Hash = `0x${'00'.repeat(32)}`

const accounts = new Map<number, HDAccount>()

/** Account `index` of the well-known development mnemonic; kept, because deriving one takes longer than most tests. */
export function dev(index: number): HDAccount {
  const account =
    accounts.get(index) ?? mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: index })
  accounts.set(index, account)
  return account
}
export const addressOf = (index: number): Address => dev(index).address.toLowerCase() as Address

type Request = Omit<TransactionSerializable, 'type'> & Record<string, unknown>

/** Raw EIP-1559 transfer of account `index`, signed by viem. */
export async function signed(index: number, request: Request): Promise<Uint8Array> {
  const full = {
    type: 'eip1559',
    chainId: CHAIN_ID,
    gas: 21_000n,
    maxFeePerGas: 10n * GWEI,
    maxPriorityFeePerGas: GWEI,
    to: addressOf(9),
    value: 1n,
    ...request,
  } as TransactionSerializable
  return hexToBytes(await dev(index).signTransaction(full as never))
}

export type FakeChain = Readonly<{
  chain: ChainReader
  setAccount: (address: Address, account: Partial<Account> & { code?: Uint8Array }) => void
  /** Appends a block that holds these transactions, and moves the head; listeners hear nothing of a silent step. */
  advance: (txs: readonly Uint8Array[], reverted?: readonly Hash[], isSilent?: boolean) => BlockEnvelope
}>

export function createFakeChain(): FakeChain {
  const accounts = new Map<Address, Account & { code: Uint8Array }>()
  const blocks = new Map<Hash, { envelope: BlockEnvelope; txs: readonly Uint8Array[] }>()
  const listeners = new Set<Parameters<ChainReader['onChange']>[0]>()
  const canonical = new Map<Hash, { blockHash: Hash; index: number }>()
  let head = makeEnvelope(null, { slot: 0 })
  blocks.set(head.hash, { envelope: head, txs: [] })
  const txHash = (raw: Uint8Array): Hash => `0x${Buffer.from(suite.keccak256(raw)).toString('hex')}`
  const state: StateView = {
    root: zero32,
    account: (address) => accounts.get(address) ?? null,
    code: (address) => accounts.get(address)?.code ?? new Uint8Array(0),
    storage: () => zero32,
  }
  const block = (hash: Hash) => {
    const found = blocks.get(hash)
    return found === undefined ? null : { ...found, receipts: found.txs.map((raw) => makeReceipt(txHash(raw))) }
  }
  return {
    chain: {
      chainId: CHAIN_ID,
      genesisHash: GENESIS_HASH,
      slotTimeMs: (slot) => slot * 1500,
      head: () => head,
      safe: () => head,
      finalized: () => head,
      hashByNumber: () => null,
      envelope: (hash) => blocks.get(hash)?.envelope ?? null,
      block,
      package: () => null,
      transactionPlace: (hash) => canonical.get(hash) ?? null,
      stateAt: () => state,
      proof: () => ({ account: [], slots: [] }),
      onChange: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    setAccount: (address, account) =>
      accounts.set(address, { nonce: 0n, balanceWei: 0n, storageRoot: zero32, codeHash: zero32, code: new Uint8Array(0), ...account }),
    advance: (txs, reverted = [], isSilent = false) => {
      const slot = head.header.slot + 1
      head = makeEnvelope(head, { slot, randomness: hashOf(`head ${slot}`) })
      blocks.set(head.hash, { envelope: head, txs })
      for (const hash of reverted) for (const raw of blocks.get(hash)?.txs ?? []) canonical.delete(txHash(raw))
      for (const [index, raw] of txs.entries()) canonical.set(txHash(raw), { blockHash: head.hash, index })
      if (!isSilent) for (const listener of listeners) listener({ kind: 'head', block: head, reverted })
      return head
    },
  }
}

/** A pool over a fake chain in which accounts 0 to 3 hold 100 FSN each. */
export function createTestPool(options: Partial<PoolOptions> = {}) {
  const fake = createFakeChain()
  for (const index of [0, 1, 2, 3]) fake.setAccount(addressOf(index), { balanceWei: 100n * FSN })
  const pool = createPool({
    chain: fake.chain,
    crypto: suite,
    laneCount: 1,
    blockGasLimit: 15_000_000n,
    nextBaseFeeWei: () => GWEI,
    validateNative: () => Promise.resolve(null),
    ...options,
  })
  return { ...fake, pool }
}
