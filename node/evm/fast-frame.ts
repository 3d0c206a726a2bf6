/** The registers of a running frame, as plain numbers, between the instructions that the library executes. @module */
import type { Address } from '#shared/types.ts'
import type { ExecResult } from '@ethereumjs/evm'

export type RunState = NonNullable<ExecResult['runState']>

/** What the library's stack is inside; a pinned version, covered by conformance tests. */
type StackInternals = { _store: bigint[]; _len: number }

const NO_PUSHES: Readonly<Record<number, bigint>> = {}

/**
 * Program counter, gas, stack height and memory size, taken from the library's state by `load` and given back by `save`. The stack's
 * array is shared. All numbers stay far below 2^53 because a block's gas does.
 */
export class Frame {
  readonly state: RunState
  readonly code: Uint8Array
  readonly stack: bigint[]
  readonly #height: StackInternals
  gas = 0
  pc = 0
  height = 0
  memoryWords = 0
  jumps: Uint8Array | null = null
  /** The account whose storage is used, once it was asked for. */
  address: Address | null = null
  pushes: Readonly<Record<number, bigint>> = NO_PUSHES

  constructor(state: RunState) {
    this.state = state
    this.code = state.code
    this.#height = state.stack as unknown as StackInternals
    this.stack = this.#height._store
    this.load()
  }

  load(): void {
    this.gas = Number(this.state.gasLeft)
    this.pc = this.state.programCounter
    this.height = this.#height._len
    this.memoryWords = Number(this.state.memoryWordCount)
  }

  save(): void {
    this.state.gasLeft = BigInt(this.gas)
    this.state.programCounter = this.pc
    this.#height._len = this.height
  }

  /** Pays for memory up to `end` bytes; false, with nothing changed, when the gas does not suffice. */
  expand(end: number): boolean {
    const words = Math.ceil(end / 32)
    if (words <= this.memoryWords) return true
    const cost = 3 * words + Math.floor((words * words) / 512)
    const added = cost - Number(this.state.highestMemCost)
    if (added > this.gas) return false
    this.gas -= added
    this.memoryWords = words
    this.state.memoryWordCount = BigInt(words)
    this.state.highestMemCost = BigInt(cost)
    return true
  }
}
