/**
 * A faster instruction loop for @ethereumjs/evm. The library awaits every instruction and searches for jump targets on every call;
 * this loop executes the frequent instructions itself, on plain registers, leaves all others and every error to the library, and
 * remembers the analysis of each code. The same conformance tests run on both loops. Measured in docs/benchmarks.md.
 * @module
 */
import { Frame } from '#node/evm/fast-frame.ts'
import type { RunState } from '#node/evm/fast-frame.ts'
import { fastInstructions } from '#node/evm/fast-instructions.ts'
import type { FastInstruction } from '#node/evm/fast-instructions.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { invariant } from '#shared/fault.ts'
import type { Common } from '@ethereumjs/common'
import { createEVM, EVMError } from '@ethereumjs/evm'
import type { EVM } from '@ethereumjs/evm'

type Interpreter = RunState['interpreter']
type Run = Interpreter['run']
type OpcodeEntry = ReturnType<Interpreter['lookupOpInfo']>
type Analysis = ReturnType<Interpreter['_getValidJumpDestinations']>

/** What the loop uses of an interpreter; its class is not exported. */
type Internals = Readonly<{
  _runState: RunState
  _evm: EVM
  common: Common
  useGas: Interpreter['useGas']
  _getValidJumpDestinations: Interpreter['_getValidJumpDestinations']
}>

/** Analyses by rules and code. Codes of deployed contracts are one object for as long as the state database remembers them. */
const analyses = new WeakMap<Common, WeakMap<Uint8Array, Analysis>>()
/** Machines that want the fast loop; all others keep the library's. */
const machines = new WeakSet<EVM>()

function knownAnalysis({ common }: Internals, code: Uint8Array): Analysis | undefined {
  return analyses.get(common)?.get(code)
}

function analyse(interpreter: Internals, code: Uint8Array): Analysis {
  const { common } = interpreter
  const byCode = analyses.get(common) ?? new WeakMap<Uint8Array, Analysis>()
  analyses.set(common, byCode)
  const made = interpreter._getValidJumpDestinations(code)
  byCode.set(code, made)
  return made
}

function useAnalysis(frame: Frame, { jumps, pushes }: Analysis): void {
  const { state } = frame
  state.validJumps = jumps
  state.cachedPushes = pushes
  state.shouldDoJumpAnalysis = false
  frame.jumps = jumps
  frame.pushes = pushes
}

const isJump = (opcode: number): boolean => opcode === 0x56 || opcode === 0x57

/** Own instructions by rules; their Keccak is the chain's. */
const tables = new WeakMap<Common, readonly (FastInstruction | undefined)[]>()

function instructionsOf(common: Common): readonly (FastInstruction | undefined)[] {
  const known = tables.get(common)
  if (known !== undefined) return known
  const made = fastInstructions(common.customCrypto.keccak256 ?? nobleSuite.keccak256)
  tables.set(common, made)
  return made
}

/** Executes one instruction of ours; false leaves it to the library with all registers as they were. */
function runOwn(frame: Frame, own: FastInstruction): boolean {
  if (frame.gas < own.gas || frame.height < own.takes || frame.height - own.takes + own.leaves > STACK_MAX) return false
  frame.gas -= own.gas
  frame.pc++
  if (own.run(frame)) return true
  frame.gas += own.gas
  frame.pc--
  return false
}

/** Executes one instruction of the library's on its own state. */
async function runTheirs(interpreter: Internals, state: RunState, { opcodeInfo, opHandler, gasHandler }: OpcodeEntry): Promise<void> {
  let gas = opcodeInfo.feeBigInt
  if (opcodeInfo.dynamicGas) {
    const dynamic = gasHandler(state, gas, interpreter.common)
    gas = typeof dynamic === 'bigint' ? dynamic : await dynamic
  }
  if (opcodeInfo.isInvalid) throw new EVMError(EVMError.errorMessages.INVALID_OPCODE)
  interpreter.useGas(gas)
  state.programCounter++
  const done = opHandler(state, interpreter.common)
  if (opcodeInfo.isAsync) await done
}

/** Runs instructions until the code ends or something stops it. Returns why it failed, if it did. */
async function runLoop(interpreter: Internals, frame: Frame, entries: readonly (OpcodeEntry | undefined)[]): Promise<EVMError | undefined> {
  const { code, state } = frame
  const table = instructionsOf(interpreter.common)
  try {
    while (frame.pc < code.length) {
      const opcode = code[frame.pc] ?? 0
      if (frame.jumps === null && isJump(opcode)) useAnalysis(frame, analyse(interpreter, code))
      const own = table[opcode]
      if (own !== undefined && runOwn(frame, own)) continue
      frame.save()
      state.opCode = opcode
      const entry = entries[opcode]
      invariant(entry !== undefined, 'the table has an entry for every byte')
      await runTheirs(interpreter, state, entry)
      frame.load()
    }
    frame.save()
    return undefined
  } catch (error) {
    if (!(error instanceof EVMError)) throw error
    return error.error === EVMError.errorMessages.STOP ? undefined : error
  }
}

/** The library's `run` for machines of ours, its own for every other and whenever somebody listens to single steps. */
function fastRun(original: Run): Run {
  return async function run(this: Interpreter, code, options = {}) {
    const interpreter = this as unknown as Internals
    const { _evm: evm, _runState: state } = interpreter
    const isOurs = machines.has(evm) && options.pc === undefined && state.gasLeft < GAS_MAX && evm.events.listenerCount('step') === 0
    if (!isOurs) return await original.call(this, code, options)
    state.code = code
    const known = knownAnalysis(interpreter, code)
    const frame = new Frame(state)
    if (known !== undefined) useAnalysis(frame, known)
    const exceptionError = await runLoop(interpreter, frame, evm['_opcodeMap'])
    return exceptionError === undefined ? { runState: state } : { runState: state, exceptionError }
  }
}

/** Gas that still is an exact number; no real block has as much, but tests do. */
const GAS_MAX = 1n << 52n

/** Items a stack can hold. */
const STACK_MAX = 1024

/** An instruction number no fork has given a meaning. */
const UNUSED_OPCODE = 0x0c

/** The interpreter's prototype, taken from an instruction of our own that runs once: the library does not export its class. */
async function interpreterPrototype(): Promise<{ run: Run }> {
  const found: { run: Run }[] = []
  const evm = await createEVM({
    customOpcodes: [
      {
        opcode: UNUSED_OPCODE,
        opcodeName: 'PROBE',
        baseFee: 0,
        logicFunction: (state) => {
          found.push(Object.getPrototypeOf(state.interpreter) as { run: Run })
        },
      },
    ],
  })
  await evm.runCode({ code: Uint8Array.of(UNUSED_OPCODE) })
  const [prototype] = found
  invariant(prototype !== undefined, 'the probe ran')
  return prototype
}

let installed: Promise<void> | null = null

async function install(): Promise<void> {
  const prototype = await interpreterPrototype()
  prototype.run = fastRun(prototype.run)
}

/** Makes this machine use the fast loop. The library is extended once per process; machines not named here are not affected. */
export async function useFastInterpreter(evm: EVM): Promise<void> {
  installed ??= install()
  await installed
  machines.add(evm)
}
