/** The fast instruction loop against the library's. Source: Ethereum yellow paper, appendix H. @module */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BlockState } from '#node/evm/block-state.ts'
import { createChainCommon, createMachine } from '#node/evm/machine.ts'
import { runCall } from '#node/evm/parent-view.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import type { Address } from '#shared/types.ts'
import { MemoryNodes, suite } from '#test/unit/evm/support.ts'

const contract: Address = `0x${'c0'.repeat(20)}`
const common = createChainCommon({ chainId: 1, crypto: suite })

/** Result, gas, logs and state after running `code` once, with either loop. */
async function outcome(code: Uint8Array, gasLimit: bigint, interpreter: 'stock' | 'fast'): Promise<unknown> {
  const db = createStateDb(new MemoryNodes(), suite.keccak256)
  const state = new BlockState(db, suite.keccak256, EMPTY_ROOT)
  state.setCode(contract, code)
  state.addBalance(contract, 1000n)
  const machine = await createMachine({ chainId: 1, crypto: suite, precompiles: new Map(), interpreter }, common, state, {
    number: 7,
    timestampSec: 99,
    prevRandao: `0x${'12'.repeat(32)}`,
    gasLimit: 10_000_000n,
    baseFeeWei: 3n,
    hashOf: () => null,
  })
  const { returnData, gasUsed, success, error, logs } = await runCall(
    machine,
    { to: contract, data: Uint8Array.from({ length: 40 }, (_, index) => index) },
    gasLimit,
  )
  // The library names code and place in the text of a bad jump.
  return { returnData, gasUsed, success, error: error?.split(' at ')[0], logs, root: db.commit(EMPTY_ROOT, state.writes()).root }
}

const small = fc.integer({ min: 0, max: 255 })
const pushed = fc.oneof(
  small.map((value) => [0x60, value]),
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((value) => [0x7f, ...value]),
  fc.constant([0x7f, ...new Uint8Array(32).fill(0xff)]),
  fc.constant([0x5f]),
)
/** Mostly stack arithmetic, some memory, storage, hashing, jumps, calls, and bytes that mean nothing. */
const instruction = fc.oneof(
  { weight: 6, arbitrary: pushed },
  { weight: 4, arbitrary: fc.constantFrom(...Array.from({ length: 0x1e }, (_, opcode) => opcode)).map((opcode) => [opcode]) },
  { weight: 2, arbitrary: fc.integer({ min: 0x80, max: 0x9f }).map((opcode) => [opcode]) },
  { weight: 2, arbitrary: fc.tuple(small, fc.constantFrom(0x51, 0x52, 0x53, 0x54)).map(([value, opcode]) => [0x60, value, opcode]) },
  { weight: 1, arbitrary: fc.tuple(small, small).map(([offset, length]) => [0x60, length, 0x60, offset, 0x20]) },
  { weight: 1, arbitrary: small.map((key) => [0x60, key, 0x55]) },
  { weight: 1, arbitrary: small.map((target) => [0x60, target, 0x57, 0x5b]) },
  { weight: 1, arbitrary: fc.constant([0x5b]) },
  { weight: 1, arbitrary: small.map((opcode) => [opcode]) },
)
const program = fc.array(instruction, { minLength: 1, maxLength: 40 }).map((parts) => Uint8Array.from([...parts.flat(), 0x59, 0x5f, 0xf3]))

test('both loops do the same with any program and any gas', async () => {
  await fc.assert(
    fc.asyncProperty(program, fc.integer({ min: 0, max: 60_000 }), async (code, gas) => {
      expect(await outcome(code, BigInt(gas), 'fast')).toEqual(await outcome(code, BigInt(gas), 'stock'))
    }),
    { numRuns: 400 },
  )
}, 60_000)

test.each([
  ['a stack of 1024 items is full', `${'5f'.repeat(1025)}00`, false],
  ['1024 items fit', `${'5f'.repeat(1024)}00`, true],
  ['a jump into push data fails', '600456605b', false],
  ['a jump past the end fails', '61ffff56', false],
  ['a jump to a huge target fails', `7f${'ff'.repeat(32)}56`, false],
  ['memory at a huge offset costs more than there is', `5f7f${'ff'.repeat(32)}52`, false],
  ['hashing nothing at a huge offset is free of memory', `5f7f${'ff'.repeat(32)}2000`, true],
  ['a push at the end is filled with zeros', '61ff', true],
] as const)('%s', async (_, hex, isOk) => {
  const code = new Uint8Array(Buffer.from(hex, 'hex'))
  const fast = await outcome(code, 100_000n, 'fast')
  expect(fast).toMatchObject({ success: isOk })
  expect(fast).toEqual(await outcome(code, 100_000n, 'stock'))
})
