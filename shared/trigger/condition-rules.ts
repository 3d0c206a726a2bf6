/** Rules of registration for timings and conditions. @module */
import { FEED_RING_REPORTS } from '#shared/params.ts'
import { parseCron } from '#shared/trigger/cron.ts'
import type { Refusal } from '#shared/trigger/limits.ts'
import type { Condition, Missed, Mode, Timing, TriggerDescription } from '#shared/trigger/types.ts'

type Limits = TriggerDescription['limits']

const TIMES_MAX = 64
const CATCH_UP_MAX = 100
/** A hold must fit the feed's history, which covers at least a day. */
const HOLD_SEC_MAX = 86_400
const LOG_ADDRESSES_MAX = 16
const TOPIC_POSITIONS_MAX = 4
const TOPICS_PER_POSITION_MAX = 16
const VIEW_GAS_MAX = 500_000

const at = (code: string, field: string, message: string): Refusal => ({ code, path: `/mode/when${field}`, message })

function refuseTimes(times: readonly number[], limits: Limits): Refusal | null {
  if (times.length < 1 || times.length > TIMES_MAX)
    return at('TIMES_COUNT', '/times', `expected 1 to ${TIMES_MAX} times, got ${times.length}`)
  const unordered = times.findIndex((time, index) => index > 0 && time <= (times[index - 1] ?? 0))
  if (unordered > 0) return at('TIMES_ORDER', `/times/${unordered}`, 'times must rise strictly')
  if ((times.at(-1) ?? 0) >= limits.expiresAtMs)
    return { code: 'EXPIRES_BEFORE_TIMES', path: '/limits/expiresAt', message: 'expected after the last time' }
  return null
}

function refuseWhen(when: Timing, limits: Limits): Refusal | null {
  if (when.kind === 'at') return refuseTimes(when.timesMs, limits)
  if (when.kind === 'interval') return when.everySec === 0 ? at('INTERVAL', '/everySec', 'expected at least 1') : null
  if (when.kind === 'height') return null
  const schedule = parseCron(when.expr)
  return typeof schedule === 'string' ? at('CRON', '/expr', schedule) : null
}

function refuseMissed(missed: Missed): Refusal | null {
  return missed.mode === 'all' && (missed.max < 1 || missed.max > CATCH_UP_MAX)
    ? { code: 'MISSED_MAX', path: '/mode/missed/max', message: `expected 1 to ${CATCH_UP_MAX}` }
    : null
}

/** First broken rule of a timing mode. */
export function refuseTiming(mode: Extract<Mode, { type: 'timing' }>, limits: Limits): Refusal | null {
  return refuseWhen(mode.when, limits) ?? refuseMissed(mode.missed)
}

function refuseFeed(when: Extract<Condition, { kind: 'feed.compare' }>): Refusal | null {
  const firesBelow = when.op === 'lt' || when.op === 'le'
  if (firesBelow ? when.rearm <= when.value : when.rearm >= when.value)
    return at(
      'REARM_SIDE',
      '/edge/rearm',
      `expected ${firesBelow ? 'above' : 'below'} value: the side from which the condition becomes true`,
    )
  if (when.holdReports < 1 || when.holdReports > FEED_RING_REPORTS)
    return at('HOLD_REPORTS', '/edge/holdReports', `expected 1 to ${FEED_RING_REPORTS}, the reports a feed keeps`)
  if (when.holdSec > HOLD_SEC_MAX) return at('HOLD_SEC', '/edge/holdSec', `expected at most ${HOLD_SEC_MAX}`)
  if (when.maxAgeSec === 0) return at('MAX_AGE', '/source/maxAgeSec', 'expected at least 1')
  return null
}

function refuseLog(when: Extract<Condition, { kind: 'log' }>): Refusal | null {
  if (when.addresses.length < 1 || when.addresses.length > LOG_ADDRESSES_MAX)
    return at('LOG_ADDRESSES', '/addresses', `expected 1 to ${LOG_ADDRESSES_MAX}`)
  if (when.topics.length > TOPIC_POSITIONS_MAX) return at('LOG_TOPICS', '/topics', `expected at most ${TOPIC_POSITIONS_MAX} positions`)
  const crowded = when.topics.findIndex((accepted) => accepted.length > TOPICS_PER_POSITION_MAX)
  if (crowded >= 0) return at('LOG_TOPICS', `/topics/${crowded}`, `expected at most ${TOPICS_PER_POSITION_MAX} topics`)
  if (when.topics.at(-1)?.length === 0) return at('LOG_TOPICS', '/topics', 'the last position accepts everything; leave it out')
  return null
}

function refuseView(when: Extract<Condition, { kind: 'view' }>, limits: Limits): Refusal | null {
  if (when.gasLimit < 1 || when.gasLimit > VIEW_GAS_MAX) return at('VIEW_GAS', '/gas', `expected 1 to ${VIEW_GAS_MAX}`)
  if (when.everyBlocks === 0) return at('VIEW_EVERY', '/checkEvery/blocks', 'expected at least 1')
  if (when.edge === 'level' && limits.cooldownSec === 0)
    return { code: 'LEVEL_COOLDOWN', path: '/limits/cooldownSec', message: 'a level condition needs a cooldown of at least 1' }
  return null
}

/** First broken rule of an event condition. */
export function refuseCondition(when: Condition, limits: Limits): Refusal | null {
  switch (when.kind) {
    case 'feed.compare':
      return refuseFeed(when)
    case 'log':
      return refuseLog(when)
    case 'view':
      return refuseView(when, limits)
    case 'chain.deposit':
      if (when.chain === 0n) return at('DEPOSIT_CHAIN', '/chain', 'expected a chain id')
      if (when.minWei === 0n) return at('DEPOSIT_MIN', '/min', 'expected at least 1')
      return when.confirmations === 0 ? at('CONFIRMATIONS', '/finality/confirmations', 'expected at least 1') : null
  }
}
