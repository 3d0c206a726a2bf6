/**
 * What a fire costs its owner before it runs: gas that is charged whether used or not, and the reserve taken first.
 * @module
 */
import { EVIDENCE_BYTES_MAX } from '#shared/params.ts'
import type { Entry, Mode, TriggerDescription } from '#shared/trigger/types.ts'
import type { Wei } from '#shared/types.ts'

/** Gas of any TriggerTx, as of any Ethereum transaction. Source: yellow paper, G_transaction. */
const BASE_GAS = 21_000
/** Gas of one evidence byte. Source: EIP-2028, non-zero calldata byte. */
const EVIDENCE_BYTE_GAS = 16
const EVALUATION_GAS = { active: 3000, timing: 5000, 'feed.compare': 15_000, log: 10_000, view: 5000, 'chain.deposit': 60_000 } as const

/** Gas of judging the condition once; a view's own limit is part of it whether used or not. */
export function evaluationGas(mode: Mode): number {
  if (mode.type !== 'event') return EVALUATION_GAS[mode.type]
  return EVALUATION_GAS[mode.when.kind] + (mode.when.kind === 'view' ? mode.when.gasLimit : 0)
}

/** Gas a TriggerTx is charged for apart from what its call uses. */
export function overheadGas(mode: Mode, evidenceBytes: number): number {
  return BASE_GAS + EVIDENCE_BYTE_GAS * evidenceBytes + evaluationGas(mode)
}

function evidenceBytesMax(mode: Mode): number {
  return mode.type === 'event' && mode.when.kind === 'chain.deposit' ? EVIDENCE_BYTES_MAX : 0
}

/** Most gas one fire can use. */
export function fireGas(description: TriggerDescription): number {
  return overheadGas(description.mode, evidenceBytesMax(description.mode)) + description.action.gasLimit
}

/** Whether reporters made the condition true, so that the attestation fee is owed. */
export function isAttested(mode: Mode): boolean {
  return mode.type === 'event' && (mode.when.kind === 'feed.compare' || mode.when.kind === 'chain.deposit')
}

/** Taken from the entry's funding before a fire: gas at the trigger base fee, value, tip, and the attestation fee where one is owed. */
export function fireReserveWei(entry: Entry, triggerBaseFeeWei: Wei): Wei {
  const { mode, action, funding } = entry.description
  const attestationFeeWei = isAttested(mode) ? funding.attestationFeeWei : 0n
  return BigInt(fireGas(entry.description)) * triggerBaseFeeWei + action.valueWei + funding.tipWei + attestationFeeWei
}

/** Price of an occurrence that only moves the row (`arm`, `miss`): no call, no tip. */
export function rowReserveWei(entry: Entry, triggerBaseFeeWei: Wei): Wei {
  return BigInt(overheadGas(entry.description.mode, 0)) * triggerBaseFeeWei
}
