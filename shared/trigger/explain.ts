/** Why an entry fires or does not, in a sentence for its owner. @module */
import type { Evaluation, Reason } from '#shared/trigger/types.ts'

const REASON_TEXT: Readonly<Record<Reason, string>> = {
  NOT_DUE: 'The next time is still ahead.',
  NOT_BEFORE: 'The trigger starts later.',
  EXPIRED: 'The trigger has expired.',
  EXHAUSTED: 'The trigger has used all its fires.',
  PAUSED: 'The trigger is paused.',
  CANCELLED: 'The trigger was cancelled.',
  COOLDOWN: 'The cooldown after the last fire is running.',
  BACKOFF: 'The last attempt reverted; the next one waits for its backoff.',
  FUNDS: 'The funding does not cover one fire at the current fee. Top it up.',
  FEE_TOO_LOW: 'The trigger base fee is above maxFeePerGas; it waits for the fee to fall.',
  NOT_ARMED: 'It has fired and has not seen the re-arm level, or a false view, since.',
  CONDITION_FALSE: 'The condition does not hold.',
  HOLDING: 'The condition holds, but not yet for as long as asked.',
  STALE: 'The feed is older than maxAgeSec; nothing is concluded from it.',
  SOURCE: 'The source is in a state from which nothing is concluded.',
  NO_REPORT: 'The feed has no report yet.',
  AWAITING_EVIDENCE: 'No attested payment matches yet.',
  VIEW_REVERTED: 'The view reverted or did not return a bool.',
  MISSED_LATE: 'It was due while nothing could run it, and its missed policy drops it.',
  MISSED_STALE_EVENT: 'The event was older than freshForSec before it could run.',
  MISSED_LOG_PRUNED: 'The log is about to leave the window in which it can be proven.',
  MISSED_LOG_TOO_LARGE: 'The log has more data than a fire can hand on.',
  MISSED_REPORTS_PRUNED: 'Reports left the history before the trigger had seen them.',
  ALREADY_FIRED: 'This payment has fired already.',
}

/** One sentence about an evaluation. */
export function explain(evaluation: Evaluation): string {
  switch (evaluation.kind) {
    case 'need':
      return 'The answer needs more of the chain.'
    case 'due': {
      const { action, missedReason } = evaluation.due
      if (action === 'fire') return 'It is due and fires in the next block.'
      if (action === 'arm') return 'It is armed again in the next block.'
      return missedReason === null ? 'Its place in the feed is moved on.' : REASON_TEXT[missedReason]
    }
    case 'notDue':
    case 'unknown':
      return REASON_TEXT[evaluation.reason]
  }
}
