/**
 * A faster instruction loop for @ethereumjs/evm. The library awaits every instruction and searches for jump targets on every call;
 * this loop awaits only what is asynchronous and remembers the analysis of each code. Instructions, gas rules and all state are the
 * library's own, and the same conformance tests run on both loops. Measured in docs/benchmarks.md.
 * @module
 */
import { invariant } from '#shared/fault.ts'
import type { Common } from '@ethereumjs/common'
import { createEVM, EVMError } from '@ethereumjs/evm'
import type { EVM, ExecResult } from '@ethereumjs/evm'

type RunState = NonNullable<ExecResult['runState']>
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

function useAnalysis(state: RunState, { jumps, pushes }: Analysis): void {
  state.validJumps = jumps
  state.cachedPushes = pushes
  state.shouldDoJumpAnalysis = false
}

const isJump = (opcode: number): boolean => opcode === 0x56 || opcode === 0x57

/** Runs instructions until the code ends or something stops it. Returns why it failed, if it did. */
async function runLoop(
  interpreter: Internals,
  state: RunState,
  entries: readonly (OpcodeEntry | undefined)[],
): Promise<EVMError | undefined> {
  const { code } = state
  const { common } = interpreter
  try {
    while (state.programCounter < code.length) {
      const opcode = code[state.programCounter] ?? 0
      if (state.shouldDoJumpAnalysis && isJump(opcode)) useAnalysis(state, analyse(interpreter, code))
      state.opCode = opcode
      const entry = entries[opcode]
      invariant(entry !== undefined, 'the table has an entry for every byte')
      const { opcodeInfo, opHandler, gasHandler } = entry
      let gas = opcodeInfo.feeBigInt
      if (opcodeInfo.dynamicGas) {
        const dynamic = gasHandler(state, gas, common)
        gas = typeof dynamic === 'bigint' ? dynamic : await dynamic
      }
      if (opcodeInfo.isInvalid) return new EVMError(EVMError.errorMessages.INVALID_OPCODE)
      interpreter.useGas(gas)
      state.programCounter++
      const done = opHandler(state, common)
      if (opcodeInfo.isAsync) await done
    }
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
    if (!machines.has(evm) || options.pc !== undefined || evm.events.listenerCount('step') > 0)
      return await original.call(this, code, options)
    state.code = code
    const known = knownAnalysis(interpreter, code)
    if (known !== undefined) useAnalysis(state, known)
    const exceptionError = await runLoop(interpreter, state, evm['_opcodeMap'])
    return exceptionError === undefined ? { runState: state } : { runState: state, exceptionError }
  }
}

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
