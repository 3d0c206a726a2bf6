/** Rules of registration for the call a trigger makes. @module */
import { isWordOf, parseAbiType } from '#shared/trigger/abi-word.ts'
import { refFitsType, refHasSource } from '#shared/trigger/call-data.ts'
import type { Refusal } from '#shared/trigger/limits.ts'
import type { Action, Argument, Mode } from '#shared/trigger/types.ts'

const ARGUMENTS_MAX = 16
/** Less than any call costs is a mistake. */
const GAS_LEAST = 21_000
const GAS_MOST = 10_000_000

function refuseArgument(argument: Argument, typeName: string, mode: Mode, path: string): Refusal | null {
  const type = parseAbiType(typeName)
  if (type === null)
    return {
      code: 'TYPE_UNSUPPORTED',
      path: '/action/abi',
      message: `"${typeName.slice(0, 32)}" is neither a one-word static type nor bytes`,
    }
  if ('lit' in argument)
    return type.kind === 'bytes' || isWordOf(type, argument.lit)
      ? null
      : { code: 'LITERAL_INVALID', path, message: `not a word of type ${typeName}` }
  if (!refHasSource(argument.ref, mode)) return { code: 'REF_UNAVAILABLE', path, message: `${argument.ref} has no value in this mode` }
  return refFitsType(argument.ref, type) ? null : { code: 'REF_TYPE', path, message: `${argument.ref} does not fit ${typeName}` }
}

/** First broken rule of an action. */
export function refuseAction(action: Action, mode: Mode): Refusal | null {
  if (/^0x0{40}$/.test(action.to)) return { code: 'TARGET_ZERO', path: '/action/to', message: 'expected an address' }
  if (action.gasLimit < GAS_LEAST || action.gasLimit > GAS_MOST)
    return { code: 'GAS_LIMIT', path: '/action/gasLimit', message: `expected ${GAS_LEAST} to ${GAS_MOST}` }
  if (action.args.length > ARGUMENTS_MAX) return { code: 'ARGS_COUNT', path: '/action/args', message: `expected at most ${ARGUMENTS_MAX}` }
  for (const [index, argument] of action.args.entries()) {
    const refusal = refuseArgument(argument, action.types[index] ?? '', mode, `/action/args/${index}`)
    if (refusal !== null) return refusal
  }
  return null
}
