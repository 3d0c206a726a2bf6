/** Which prepared signatures the final chain still lets a party use. Source: docs/dcrm.md, persistence. @module */
import type { Board, ChainKey } from '#node/party/chain-view.ts'
import { KEY_ACTIVE } from '#node/party/chain-view.ts'
import type { Custody } from '#node/party/custody.ts'
import { equalBytes } from '#shared/bytes.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Parties that started anew since the last look: they have destroyed what was prepared with them. */
export class Restarts {
  #seen = new Map<PartyId, string>()

  /** Looks at a board. */
  since({ parties }: Pick<Board, 'parties'>): ReadonlySet<PartyId> {
    const known = this.#seen
    this.#seen = new Map(parties.map(({ id, instanceId }) => [id, instanceId]))
    return new Set(parties.filter(({ id, instanceId }) => (known.get(id) ?? instanceId) !== instanceId).map(({ id }) => id))
  }
}

/** Whether a presignature may still serve: its key and epoch are the present ones, and nothing has come between its signers. */
export function isUsable(board: Board, custody: Custody, restarted: ReadonlySet<PartyId>, presignature: Presignature): boolean {
  const { epoch, keyId, set } = presignature
  const key = board.keys.find((each) => {
    const share = each.state === KEY_ACTIVE && each.epoch === epoch ? custody.share(each) : null
    return share !== null && equalBytes(share.publicKey.keyId, keyId)
  })
  if (key === undefined || custody.hasDisputed(key.id, key.epoch, set)) return false
  const isSigner = (id: PartyId): boolean => key.members.includes(id) && !restarted.has(id) && isServing(board, id)
  return set.every(isSigner) && !isQuarrel(board, key, set)
}

const isServing = ({ parties }: Board, id: PartyId): boolean => parties.some((party) => party.id === id && party.excludedAt === 0n)

const isQuarrel = ({ disputes }: Board, { id }: ChainKey, set: readonly PartyId[]): boolean =>
  (disputes.get(id) ?? []).some((pair) => pair.every((party) => set.includes(party)))
