/** Rules with one planted fault each. A check that does not notice its mutant proves nothing. @module */
import { ticketSeed } from '#shared/hhcm/pow.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import { concatBytes, hexToBytes } from '#shared/bytes.ts'

export type Mutant = Readonly<{ rules: Rules; isAmnesiac: boolean }>

const change = (rules: Partial<Rules>): Mutant => ({ rules: { ...RULES, ...rules }, isAmnesiac: false })

/** By name, as `--mutant` takes them. */
export const MUTANTS = {
  'quorum-half': change({ isSupermajority: (stake, total) => 2n * stake > total }),
  'ignore-justified': change({ forkStart: ({ finalized }) => finalized }),
  amnesia: { rules: RULES, isAmnesiac: true },
  'non-consecutive-finality': change({ isFinalizing: () => true }),
  'late-block-vote': change({ freezePermille: 2000 }),
  'content-ticket': change({
    ticketSeed: (race, sha256) => sha256(concatBytes(ticketSeed(race, sha256), hexToBytes(race.packageHash))),
  }),
  'hash-seed': change({ slotSeed: (_parent, parentHash) => parentHash }),
  'wrong-lane': change({
    rankOf: (duties, lane, validator) => {
      const own = RULES.rankOf(duties, lane, validator)
      return own === -1 ? Math.max(...duties.map((_, other) => RULES.rankOf(duties, other, validator))) : own
    },
  }),
  'higher-rank': change({ comparePreference: (left, right) => right.rank - left.rank || RULES.comparePreference(left, right) }),
} as const satisfies Record<string, Mutant>
