/** The ordered list of relays of a session: the edge's first, then those of its parties in an order nobody chooses. @module */
import type { Board } from '#node/party/chain-view.ts'
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Hash } from '#shared/types.ts'

/** Fallbacks beside the edge: with more, one dead party more is survived and everybody polls one more. */
const FALLBACKS = 2

/** URLs, the same at every party with the same board and the same edges. */
export function relaysOf(
  hashes: Pick<DcrmBackend, 'sha256'>,
  edges: readonly string[],
  board: Board,
  set: readonly PartyId[],
  session: Hash,
  attempt: number,
): readonly string[] {
  const keyed = board.parties
    .filter(({ id, relayUrl }) => set.includes(id) && relayUrl !== '')
    .map(({ id, relayUrl }) => ({ relayUrl, key: bytesToHex(hashItems(hashes, 'relay', session, attempt, id)) }))
    .toSorted((left, right) => compareHex(left.key, right.key))
  return [...edges, ...keyed.slice(0, FALLBACKS).map(({ relayUrl }) => relayUrl)]
}
