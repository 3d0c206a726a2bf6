/** Random blocks against @ethereumjs/vm, which keeps its own state and roots. @module */
import { Block, createBlockHeader } from '@ethereumjs/block'
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common'
import { paramsEVM } from '@ethereumjs/evm'
import { MerkleStateManager } from '@ethereumjs/statemanager'
import { createTxFromRLP } from '@ethereumjs/tx'
import { Account, Address as EvmAddress } from '@ethereumjs/util'
import { createVM, runBlock } from '@ethereumjs/vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockState } from '#node/evm/block-state.ts'
import { toHex } from '#node/evm/hex.ts'
import { createChainCommon, createMachine } from '#node/evm/machine.ts'
import { runTransaction } from '#node/evm/run-transaction.ts'
import { listRoot } from '#node/evm/trie.ts'
import { decodeUserTransaction } from '#shared/chain/user-transaction.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { encodeReceipt, joinBlooms, logsBloom } from '#shared/chain/receipt.ts'
import type { Receipt } from '#shared/chain/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { accounts, addressOf, FSN } from '#test/unit/evm/chain-fixture.ts'
import { stateWith, suite } from '#test/unit/evm/support.ts'

const CHAIN_ID = 81_920
const GAS_LIMIT = 10_000_000n
const BASE_FEE = 7n
const COINBASE: Address = `0x${'c0'.repeat(20)}`
/** Writes to slots of calldata's choosing, hashes, logs, and sends a wei back to the caller. */
const WORKER: Address = `0x${'ab'.repeat(20)}`
const WORKER_CODE = hexToBytes('0x60003560010180600055600160205260406000206020355560206000a060006000600060006001335af100')

const funded = Object.fromEntries(accounts.map((account) => [addressOf(account), { balanceWei: 100n * FSN }]))
const initial = { ...funded, [WORKER]: { balanceWei: 5n, nonce: 1n, code: WORKER_CODE } }
const common = createChainCommon({ chainId: CHAIN_ID, crypto: suite }, paramsEVM)

type Step = Readonly<{ from: number; to: number; kind: 'transfer' | 'call' | 'create' | 'legacy'; value: number }>

const step: fc.Arbitrary<Step> = fc.record({
  from: fc.integer({ min: 0, max: 3 }),
  to: fc.integer({ min: 0, max: 7 }),
  kind: fc.constantFrom('transfer', 'call', 'create', 'legacy'),
  value: fc.integer({ min: 0, max: 5 }),
})

async function signAll(steps: readonly Step[]): Promise<Hex[]> {
  const nonces = accounts.map(() => 0)
  const raws: Hex[] = []
  for (const { from, to, kind, value } of steps) {
    const account = accounts[from]
    const target = accounts[to]
    if (account === undefined || target === undefined) continue
    const nonce = nonces[from] ?? 0
    nonces[from] = nonce + 1
    const word = value.toString(16).padStart(64, '0')
    const base = { chainId: CHAIN_ID, nonce, value: BigInt(value) }
    if (kind === 'legacy')
      raws.push(await account.signTransaction({ ...base, type: 'legacy', to: target.address, gas: 50_000n, gasPrice: 20n }))
    else {
      const fees = { maxFeePerGas: 30n, maxPriorityFeePerGas: BigInt(value), type: 'eip1559' } as const
      if (kind === 'transfer') raws.push(await account.signTransaction({ ...base, ...fees, to: target.address, gas: 21_000n }))
      else if (kind === 'call')
        raws.push(await account.signTransaction({ ...base, ...fees, to: WORKER, gas: 120_000n, data: `0x${word}${word}` }))
      else
        raws.push(
          await account.signTransaction({ ...base, ...fees, gas: 150_000n, data: value === 3 ? '0x60016000fd' : '0x600a600055600a6000f3' }),
        )
    }
  }
  return raws
}

type Roots = Readonly<{ state: Hash; receipts: Hash; gasUsed: bigint; bloom: Hex }>

async function ours(raws: readonly Hex[]): Promise<Roots> {
  const { db, root } = stateWith(initial)
  const state = new BlockState(db, suite.keccak256, root)
  const machine = await createMachine({ chainId: CHAIN_ID, crypto: suite, precompiles: new Map() }, common, state, {
    number: 1,
    timestampSec: 1000,
    prevRandao: `0x${'00'.repeat(32)}`,
    gasLimit: GAS_LIMIT,
    baseFeeWei: BASE_FEE,
    hashOf: () => null,
  })
  machine.block.header.coinbase = new EvmAddress(hexToBytes(COINBASE))
  let gasUsed = 0n
  const receipts: Pick<Receipt, 'txType' | 'status' | 'cumulativeGasUsed' | 'logsBloom' | 'logs'>[] = []
  for (const raw of raws) {
    const tx = decodeUserTransaction(suite, hexToBytes(raw))
    state.beginTransaction()
    const outcome = await runTransaction(machine, tx, { chainId: CHAIN_ID, blockGasLimit: GAS_LIMIT, gasLeft: GAS_LIMIT - gasUsed })
    if ('skip' in outcome) throw new Error(outcome.skip)
    gasUsed += outcome.gasUsed
    receipts.push({
      txType: tx.type,
      status: outcome.status,
      cumulativeGasUsed: gasUsed,
      logsBloom: logsBloom(outcome.logs, suite.keccak256),
      logs: outcome.logs,
    })
  }
  // Ethereum burns the base fee; here it reaches the coinbase first and is split after the block.
  state.addBalance(COINBASE, -BASE_FEE * gasUsed)
  if (state.balance(COINBASE) === 0n) state.setAccount(COINBASE, null)
  return {
    state: db.commit(root, state.writes()).root,
    receipts: listRoot(receipts.map(encodeReceipt), suite.keccak256),
    gasUsed,
    bloom: joinBlooms(receipts.map((receipt) => receipt.logsBloom)),
  }
}

async function theirs(raws: readonly Hex[]): Promise<Roots> {
  const stock = createCustomCommon({ chainId: CHAIN_ID, name: 'reference' }, Mainnet, { hardfork: Hardfork.Cancun })
  const stateManager = new MerkleStateManager({ common: stock })
  const vm = await createVM({ common: stock, stateManager })
  for (const [address, { balanceWei, nonce = 0n, code }] of Object.entries(initial) as [
    Address,
    { balanceWei: bigint; nonce?: bigint; code?: Uint8Array },
  ][]) {
    const account = new EvmAddress(hexToBytes(address))
    await stateManager.putAccount(account, new Account(nonce, balanceWei))
    if (code !== undefined) await stateManager.putCode(account, code)
  }
  await stateManager.getStateRoot()
  const header = createBlockHeader(
    { number: 1n, timestamp: 1000n, gasLimit: GAS_LIMIT, baseFeePerGas: BASE_FEE, coinbase: new EvmAddress(hexToBytes(COINBASE)) },
    { common: stock },
  )
  const txs = raws.map((raw) => createTxFromRLP(hexToBytes(raw), { common: stock }))
  const result = await runBlock(vm, {
    block: new Block(header, txs, [], [], { common: stock }),
    generate: true,
    skipBlockValidation: true,
    skipHeaderValidation: true,
  })
  return { state: toHex(result.stateRoot), receipts: toHex(result.receiptsRoot), gasUsed: result.gasUsed, bloom: toHex(result.logsBloom) }
}

describe('random blocks', () => {
  test('end in the roots, gas and bloom of the reference implementation', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const raws = await signAll(steps)
        expect(await ours(raws)).toEqual(await theirs(raws))
      }),
      { numRuns: 15 },
    )
  })
})
