/** GeneralStateTests of ethereum/tests on our state and transaction rules, Cancun. @module */
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BlockState } from '#node/evm/block-state.ts'
import { createChainCommon, createMachine } from '#node/evm/machine.ts'
import { runTransaction } from '#node/evm/run-transaction.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { paramsEVM } from '@ethereumjs/evm'
import { Address as EvmAddress } from '@ethereumjs/util'
import { MemoryNodes, suite } from '#test/unit/evm/support.ts'
import { tarFiles } from '#test/unit/evm/tar.ts'

const ARCHIVE = '../shared/vectors/general-state-tests-sample.tar.gz'
/** Every n-th case of the sample runs; 1 runs all. */
const STRIDE = Number(process.env['FUSION_STATE_TEST_STRIDE'] ?? '4')
/** Blobs and the KZG precompile are not part of the chain's rules. */
const EXCLUDED = /stEIP4844|blob|Blob|point_evaluation/
/** The tenth call of this file is to the KZG precompile. */
const isKzgCall = (title: string, data: number): boolean => title === 'idPrecomps' && data === 9

type Json = Readonly<{
  env: Readonly<Record<string, Hex>>
  pre: Readonly<Record<Address, Readonly<{ balance: Hex; nonce: Hex; code: Hex; storage: Readonly<Record<Hex, Hex>> }>>>
  transaction: Readonly<{
    data: readonly Hex[]
    gasLimit: readonly Hex[]
    value: readonly Hex[]
    gasPrice?: Hex
    maxFeePerGas?: Hex
    maxPriorityFeePerGas?: Hex
    maxFeePerBlobGas?: Hex
    nonce: Hex
    to: Hex | ''
    sender: Address
    accessLists?: readonly (readonly Readonly<{ address: Address; storageKeys: readonly Hash[] }>[] | null)[]
  }>
  post: Readonly<
    Record<
      string,
      readonly Readonly<{ hash: Hash; logs: Hash; expectException?: string; indexes: { data: number; gas: number; value: number } }>[]
    >
  >
}>

const word = (hex: Hex): Hash => `0x${hex.slice(2).padStart(64, '0')}`
const common = createChainCommon({ chainId: 1, crypto: suite }, paramsEVM)

function transactionOf(json: Json, indexes: Readonly<{ data: number; gas: number; value: number }>): UserTransaction {
  const { transaction } = json
  const isDynamic = transaction.maxFeePerGas !== undefined
  const maxFee = BigInt(transaction.maxFeePerGas ?? transaction.gasPrice ?? '0x0')
  return {
    hash: word('0x0'),
    raw: new Uint8Array(0),
    type: isDynamic ? 2 : 0,
    chainId: 1n,
    nonce: BigInt(transaction.nonce),
    maxFeePerGasWei: maxFee,
    maxPriorityFeePerGasWei: isDynamic ? BigInt(transaction.maxPriorityFeePerGas ?? '0x0') : maxFee,
    gasLimit: BigInt(transaction.gasLimit[indexes.gas] ?? '0x0'),
    to: transaction.to === '' ? null : (transaction.to.toLowerCase() as Address),
    valueWei: BigInt(transaction.value[indexes.value] ?? '0x0'),
    data: hexToBytes(transaction.data[indexes.data] ?? '0x'),
    accessList: transaction.accessLists?.[indexes.data] ?? [],
    authorizations: [],
    v: 0n,
    yParity: 0,
    r: 1n,
    s: 1n,
    sender: transaction.sender.toLowerCase() as Address,
  }
}

async function runCase(
  json: Json,
  indexes: Readonly<{ data: number; gas: number; value: number }>,
  interpreter: 'stock' | 'fast',
): Promise<Readonly<{ root: Hash; logs: Hash }>> {
  const store = new MemoryNodes()
  const db = createStateDb(store, suite.keccak256)
  const pre = new BlockState(db, suite.keccak256, EMPTY_ROOT)
  for (const [address, { balance, nonce, code, storage }] of Object.entries(json.pre) as [Address, Json['pre'][Address]][]) {
    pre.setAccount(address, {
      nonce: BigInt(nonce),
      balanceWei: BigInt(balance),
      storageRoot: EMPTY_ROOT,
      codeHash: bytesToHex(suite.keccak256(new Uint8Array(0))),
    })
    if (code !== '0x') pre.setCode(address, hexToBytes(code))
    for (const [slot, value] of Object.entries(storage) as [Hex, Hex][]) pre.setSlot(address, word(slot), hexToBytes(word(value)))
  }
  const before = db.commit(EMPTY_ROOT, pre.writes())
  store.add(before.nodes)
  const state = new BlockState(db, suite.keccak256, before.root)
  const { env } = json
  const baseFeeWei = BigInt(env['currentBaseFee'] ?? '0xa')
  const blockGasLimit = BigInt(env['currentGasLimit'] ?? '0x0')
  const machine = await createMachine({ chainId: 1, crypto: suite, precompiles: new Map(), interpreter }, common, state, {
    number: Number(env['currentNumber']),
    timestampSec: Number(env['currentTimestamp']),
    prevRandao: word(env['currentRandom'] ?? '0x0'),
    gasLimit: blockGasLimit,
    baseFeeWei,
    hashOf: (height) => bytesToHex(suite.keccak256(Buffer.from(String(height)))),
  })
  const coinbase = (env['currentCoinbase'] ?? '0x').toLowerCase() as Address
  machine.block.header.coinbase = new EvmAddress(hexToBytes(coinbase))
  const tx = transactionOf(json, indexes)
  state.beginTransaction()
  const outcome = await runTransaction(machine, tx, { chainId: 1, blockGasLimit, gasLeft: blockGasLimit })
  let logs: readonly unknown[] = []
  if (!('skip' in outcome)) {
    state.addBalance(coinbase, -baseFeeWei * outcome.gasUsed)
    const left = state.account(coinbase)
    if (left !== null && left.balanceWei === 0n && left.nonce === 0n && state.code(coinbase).length === 0) state.setAccount(coinbase, null)
    logs = outcome.logs.map(({ address, topics, data }) => [address, topics, data])
  }
  const { root } = db.commit(before.root, state.writes())
  return { root, logs: bytesToHex(suite.keccak256(encodeRlp(logs as never))) }
}

describe.skipIf(!existsSync(ARCHIVE))('Ethereum GeneralStateTests, Cancun', () => {
  test.each([
    ['fast', STRIDE],
    ['stock', 4 * STRIDE],
  ] as const)(
    'the sampled cases end in the expected state and logs with the %s loop',
    { timeout: 120_000 },
    async (interpreter, stride) => {
      let counter = 0
      let passed = 0
      const failures: string[] = []
      for (const { name, content } of tarFiles(gunzipSync(readFileSync(ARCHIVE)))) {
        if (!name.endsWith('.json') || EXCLUDED.test(name)) continue
        for (const [title, json] of Object.entries(JSON.parse(content.toString('utf8')) as Record<string, Json>)) {
          if (json.transaction.maxFeePerBlobGas !== undefined) continue
          // A value wider than 256 bits cannot be written in a transaction at all.
          if (json.transaction.value.some((value) => value.startsWith('0x:bigint'))) continue
          for (const expected of json.post['Cancun'] ?? []) {
            if (counter++ % stride !== 0 || isKzgCall(title, expected.indexes.data)) continue
            const { root, logs } = await runCase(json, expected.indexes, interpreter)
            if (root === expected.hash && logs === expected.logs) passed++
            else failures.push(`${name} ${title} ${JSON.stringify(expected.indexes)} ${expected.expectException ?? ''}`)
          }
        }
      }
      console.info(`state tests: ${passed} passed, ${failures.length} failed, every ${stride}th case, ${interpreter} loop`)
      expect(failures).toEqual([])
      expect(passed).toBeGreaterThan(3000 / stride)
    },
  )
})

describe.runIf(!existsSync(ARCHIVE))('Ethereum GeneralStateTests without the vectors folder', () => {
  test('are skipped, but never in continuous integration', () => {
    console.info('state tests skipped: the vectors folder is absent')
    expect(process.env['CI']).toBeUndefined()
  })
})
