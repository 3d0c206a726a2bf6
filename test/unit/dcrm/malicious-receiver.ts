/**
 * A receiver of transfers that asks for one bit of the sender's Δ: it flips one choice bit in one column only, then computes the check as if it
 * were honest. The sender refuses exactly when that bit of Δ is 1. Source: selective failure in OT extension; docs/dcrm.md, OT extension.
 * @module
 */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import { receiverModel } from '#test/unit/dcrm/ot-model.ts'

/** The message that asks about bit `column`, in place of the honest one under the same name. */
export function probeMessage(
  backend: DcrmBackend,
  pair: Pick<PairState, 'asReceiver'>,
  name: Uint8Array,
  choice: Uint8Array,
  column: number,
): Uint8Array {
  return receiverModel(backend, pair, name, choice, (index) => (index === column ? 1n : 0n)).message
}
