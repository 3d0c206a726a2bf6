/**
 * Distributed key generation after Gennaro, Jarecki, Krawczyk and Rabin, as a round machine; with a base share it is a refresh: all deal zero,
 * the shares change and the key stays. Rounds: deal, complain, (answer), open, object, (extract, confirm); those in brackets only when needed.
 * With an honest majority (mode R) the run ends with a key whatever t − 1 members do; otherwise (mode B) any failure ends it and names its cause.
 * Source: paper 3.5.2, 3.5.3; GJKR 1999; docs/dcrm.md, key generation.
 * @module
 */
import { startDealing, takeAnswers, takeComplaints, takeDealings } from '#shared/dcrm/dkg-deal.ts'
import { takeConfirmations, takeExtraction, takeImages, takeObjections } from '#shared/dcrm/dkg-open.ts'
import type { DkgInput, DkgResult, DkgRun, DkgState, DkgStep } from '#shared/dcrm/dkg-state.ts'
import { DKG_ROUND, dkgRunOf } from '#shared/dcrm/dkg-state.ts'
import type { Inbox, RoundMachine } from '#shared/dcrm/round.ts'

type Take = (run: DkgRun, state: DkgState, inbox: Inbox) => DkgStep

const TAKE: Readonly<Record<DkgState['round'], Take>> = {
  [DKG_ROUND.deal]: takeDealings,
  [DKG_ROUND.complain]: takeComplaints,
  [DKG_ROUND.answer]: takeAnswers,
  [DKG_ROUND.open]: takeImages,
  [DKG_ROUND.object]: takeObjections,
  [DKG_ROUND.extract]: takeExtraction,
  [DKG_ROUND.confirm]: takeConfirmations,
}

/** The member `input.self` of a generation, or of a refresh when `input.base` is its present share. */
export function dkgMachine(input: DkgInput): RoundMachine<DkgState, DkgResult> {
  const run = dkgRunOf(input)
  return { start: () => startDealing(run), next: (state, inbox) => TAKE[state.round](run, state, inbox) }
}
