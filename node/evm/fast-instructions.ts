/**
 * The instructions that make up most of what contracts execute, on plain registers and without promises. Same gas and same effects as
 * the library's; whatever is unusual (no gas, bad jump, short stack, huge offset) is left to the library, which finds the right error.
 * Source: Ethereum yellow paper, appendix H; EIP-145, EIP-160, EIP-2929, EIP-3855.
 * @module
 */
import { BlockState } from '#node/evm/block-state.ts'
import type { Frame } from '#node/evm/fast-frame.ts'
import { toHex } from '#node/evm/hex.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'

/** One instruction: price, stack items taken and left, and the effect. `run` returns false, with nothing changed, to pass. */
export type FastInstruction = Readonly<{ gas: number; takes: number; leaves: number; run: (frame: Frame) => boolean }>

/** Offsets from here on cannot be paid for in any block. */
const OFFSET_MAX = 1n << 28n
const WORD = 256

/** Item counted from the top, 0 is the top. The loop has checked the height. */
const item = (frame: Frame, depth: number): bigint => frame.stack[frame.height - 1 - depth] ?? 0n

function replace(frame: Frame, takes: number, value: bigint): true {
  frame.height -= takes - 1
  frame.stack[frame.height - 1] = value
  return true
}

const push = (frame: Frame, value: bigint): true => {
  frame.stack[frame.height++] = value
  return true
}

const unary = (gas: number, of: (top: bigint) => bigint): FastInstruction => ({
  gas,
  takes: 1,
  leaves: 1,
  run: (frame) => replace(frame, 1, of(item(frame, 0))),
})

const binary = (gas: number, of: (top: bigint, next: bigint) => bigint): FastInstruction => ({
  gas,
  takes: 2,
  leaves: 1,
  run: (frame) => replace(frame, 2, of(item(frame, 0), item(frame, 1))),
})

const unsigned = (value: bigint): bigint => BigInt.asUintN(WORD, value)
const bit = (holds: boolean): bigint => (holds ? 1n : 0n)
const ALL_ONES = (1n << 256n) - 1n

const ARITHMETIC: readonly (readonly [opcode: number, instruction: FastInstruction])[] = [
  [0x01, binary(3, (left, right) => unsigned(left + right))],
  [0x02, binary(5, (left, right) => unsigned(left * right))],
  [0x03, binary(3, (left, right) => unsigned(left - right))],
  [0x04, binary(5, (left, right) => (right === 0n ? 0n : left / right))],
  [0x06, binary(5, (left, right) => (right === 0n ? 0n : left % right))],
  [0x10, binary(3, (left, right) => bit(left < right))],
  [0x11, binary(3, (left, right) => bit(left > right))],
  [0x14, binary(3, (left, right) => bit(left === right))],
  [0x15, unary(3, (top) => bit(top === 0n))],
  [0x16, binary(3, (left, right) => left & right)],
  [0x17, binary(3, (left, right) => left | right)],
  [0x18, binary(3, (left, right) => left ^ right)],
  [0x19, unary(3, (top) => ALL_ONES ^ top)],
  [0x1b, binary(3, (shift, value) => (shift >= 256n ? 0n : unsigned(value << shift)))],
  [0x1c, binary(3, (shift, value) => (shift >= 256n ? 0n : value >> shift))],
]

function jumpTo(frame: Frame, target: bigint): boolean {
  if (frame.jumps === null || target >= BigInt(frame.code.length) || frame.jumps[Number(target)] !== 1) return false
  frame.pc = Number(target)
  return true
}

const jump: FastInstruction = {
  gas: 8,
  takes: 1,
  leaves: 0,
  run: (frame) => {
    if (!jumpTo(frame, item(frame, 0))) return false
    frame.height--
    return true
  },
}

const jumpIf: FastInstruction = {
  gas: 10,
  takes: 2,
  leaves: 0,
  run: (frame) => {
    if (item(frame, 1) !== 0n && !jumpTo(frame, item(frame, 0))) return false
    frame.height -= 2
    return true
  },
}

/** The loop has moved the counter to the first byte that is pushed. Codes not analysed yet are the library's. */
const pushBytes = (count: number): FastInstruction => ({
  gas: 3,
  takes: 0,
  leaves: 1,
  run: (frame) => {
    const value = frame.pushes[frame.pc]
    if (value === undefined) return false
    frame.pc += count
    return push(frame, value)
  },
})

const duplicate = (depth: number): FastInstruction => ({
  gas: 3,
  takes: depth,
  leaves: depth + 1,
  run: (frame) => push(frame, item(frame, depth - 1)),
})

const swap = (depth: number): FastInstruction => ({
  gas: 3,
  takes: depth + 1,
  leaves: depth + 1,
  run: ({ stack, height }) => {
    const top = stack[height - 1] ?? 0n
    stack[height - 1] = stack[height - 1 - depth] ?? 0n
    stack[height - 1 - depth] = top
    return true
  },
})

const STACK: readonly (readonly [number, FastInstruction])[] = [
  [0x50, { gas: 2, takes: 1, leaves: 0, run: (frame) => (frame.height--, true) }],
  [0x56, jump],
  [0x57, jumpIf],
  [0x5b, { gas: 1, takes: 0, leaves: 0, run: () => true }],
  [0x5f, { gas: 2, takes: 0, leaves: 1, run: (frame) => push(frame, 0n) }],
  ...Array.from({ length: 32 }, (_, index) => [0x60 + index, pushBytes(index + 1)] as const),
  ...Array.from({ length: 16 }, (_, index) => [0x80 + index, duplicate(index + 1)] as const),
  ...Array.from({ length: 16 }, (_, index) => [0x90 + index, swap(index + 1)] as const),
]

function wordOf(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32)
  const low = view.getBigUint64(24)
  const second = view.getBigUint64(16)
  const third = view.getBigUint64(8)
  const high = view.getBigUint64(0)
  if (high === 0n && third === 0n) return second === 0n ? low : (second << 64n) | low
  return (((high << 64n) | third) << 128n) | (second << 64n) | low
}

function writeWord(bytes: Uint8Array, word: bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32)
  view.setBigUint64(24, word)
  view.setBigUint64(16, word >> 64n)
  view.setBigUint64(8, word >> 128n)
  view.setBigUint64(0, word >> 192n)
}

const load: FastInstruction = {
  gas: 3,
  takes: 1,
  leaves: 1,
  run: (frame) => {
    const offset = item(frame, 0)
    if (offset >= OFFSET_MAX || !frame.expand(Number(offset) + 32)) return false
    return replace(frame, 1, wordOf(frame.state.memory.read(Number(offset), 32, true)))
  },
}

const store: FastInstruction = {
  gas: 3,
  takes: 2,
  leaves: 0,
  run: (frame) => {
    const offset = item(frame, 0)
    if (offset >= OFFSET_MAX || !frame.expand(Number(offset) + 32)) return false
    writeWord(frame.state.memory.read(Number(offset), 32, true), item(frame, 1))
    frame.height -= 2
    return true
  },
}

const hash = (keccak256: CryptoSuite['keccak256']): FastInstruction => ({
  gas: 30,
  takes: 2,
  leaves: 1,
  run: (frame) => {
    const offset = item(frame, 0)
    const length = item(frame, 1)
    if (offset >= OFFSET_MAX || length >= OFFSET_MAX || length === 0n) return false
    const wordGas = 6 * Math.ceil(Number(length) / 32)
    if (wordGas > frame.gas) return false
    frame.gas -= wordGas
    if (!frame.expand(Number(offset + length))) {
      frame.gas += wordGas
      return false
    }
    return replace(frame, 2, wordOf(keccak256(frame.state.memory.read(Number(offset), Number(length), true))))
  },
})

/** A slot that is warm already, EIP-2929; cold ones are the library's. */
const loadSlot: FastInstruction = {
  gas: 100,
  takes: 1,
  leaves: 1,
  run: (frame) => {
    const { env, stateManager, interpreter } = frame.state
    if (!(stateManager instanceof BlockState)) return false
    const key = new Uint8Array(32)
    writeWord(key, item(frame, 0))
    if (!interpreter.journal.isWarmedStorage(env.address.bytes, key)) return false
    frame.address ??= toHex(env.address.bytes)
    const value = stateManager.slot(frame.address, toHex(key))
    return replace(frame, 1, value.length === 0 ? 0n : BigInt(toHex(value)))
  },
}

/** Square and multiply modulo 2^256. */
function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = unsigned(result * square)
    square = unsigned(square * square)
  }
  return result
}

const exponentiate: FastInstruction = {
  gas: 10,
  takes: 2,
  leaves: 1,
  run: (frame) => {
    const exponent = item(frame, 1)
    const byteGas = exponent === 0n ? 0 : 50 * Math.ceil(exponent.toString(16).length / 2)
    if (byteGas > frame.gas) return false
    frame.gas -= byteGas
    return replace(frame, 2, power(item(frame, 0), exponent))
  },
}

/** The instructions by opcode, sparse; `keccak256` is the chain's. */
export function fastInstructions(keccak256: CryptoSuite['keccak256']): readonly (FastInstruction | undefined)[] {
  const table: (FastInstruction | undefined)[] = Array.from({ length: 256 }, () => undefined)
  for (const [opcode, instruction] of [...ARITHMETIC, ...STACK]) table[opcode] = instruction
  table[0x0a] = exponentiate
  table[0x20] = hash(keccak256)
  table[0x51] = load
  table[0x52] = store
  table[0x54] = loadSlot
  return table
}
