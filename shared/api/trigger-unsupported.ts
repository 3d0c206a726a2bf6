/** Parts of the trigger language that this version of the network knows by name and refuses with a code of their own. @module */

/** One thing wrong with a trigger's JSON: RFC 6901 pointer, stable code, sentence. */
export type TriggerIssue = Readonly<{ pointer: string; code: string; detail: string }>

type Rule = Readonly<{ pointer: string; code: string; detail: string; allows: (value: unknown) => boolean }>

const never = (): boolean => false
const is =
  (...accepted: readonly unknown[]) =>
  (value: unknown): boolean =>
    accepted.includes(value)
const kindIsKnown = (value: unknown): boolean =>
  typeof value !== 'string' ||
  !['feed.deviation', 'feed.stale', 'http', 'chain.tx', 'chain.absent', 'after', 'all', 'any', 'not'].includes(value)

const RULES: readonly Rule[] = [
  { pointer: '/mode/when/kind', code: 'KIND_UNSUPPORTED', detail: 'this kind of condition is not served yet', allows: kindIsKnown },
  { pointer: '/mode/when/tz', code: 'TIME_ZONE_UNSUPPORTED', detail: 'times are in UTC only', allows: is('UTC') },
  { pointer: '/mode/when/tzdb', code: 'TIME_ZONE_UNSUPPORTED', detail: 'times are in UTC only', allows: never },
  { pointer: '/mode/when/gap', code: 'TIME_ZONE_UNSUPPORTED', detail: 'UTC has no gaps', allows: never },
  { pointer: '/mode/when/overlap', code: 'TIME_ZONE_UNSUPPORTED', detail: 'UTC has no overlaps', allows: never },
  { pointer: '/mode/when/jitterSec', code: 'JITTER_UNSUPPORTED', detail: 'intervals run on the second', allows: is(0) },
  {
    pointer: '/mode/when/source/minSources',
    code: 'MIN_SOURCES_UNSUPPORTED',
    detail: 'the quorum of the source set decides',
    allows: never,
  },
  { pointer: '/mode/when/where', code: 'LOG_WHERE_UNSUPPORTED', detail: 'logs are matched by address and topics', allows: never },
  { pointer: '/mode/when/batch', code: 'LOG_BATCH_UNSUPPORTED', detail: 'each log fires once', allows: never },
  { pointer: '/mode/when/finality/level', code: 'FINALITY_UNSUPPORTED', detail: 'depth with confirmations is served', allows: is('depth') },
  { pointer: '/mode/when/asset', code: 'ASSET_UNSUPPORTED', detail: 'the native coin is served', allows: is('native') },
  { pointer: '/mode/when/reference', code: 'REFERENCE_UNSUPPORTED', detail: 'payments are matched by receiver and amount', allows: never },
  { pointer: '/limits/overlap', code: 'OVERLAP_UNSUPPORTED', detail: 'fires of one entry run one after another', allows: is('serial') },
  { pointer: '/limits/onHighGas', code: 'ON_HIGH_GAS_UNSUPPORTED', detail: 'a fire waits for the fee to fall', allows: is('wait') },
  { pointer: '/funding/perDayCap', code: 'PER_DAY_CAP_UNSUPPORTED', detail: 'limit spending by maxFires and funding', allows: never },
  { pointer: '/funding/account', code: 'FUNDING_ACCOUNT_UNSUPPORTED', detail: 'an entry is funded by itself', allows: never },
  { pointer: '/privacy', code: 'PRIVACY_UNSUPPORTED', detail: 'descriptions are public', allows: is('public') },
]

function valueAt(root: unknown, pointer: string): unknown {
  let value = root
  for (const name of pointer.slice(1).split('/')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  return value
}

/** Every known but unserved part that a JSON value asks for. */
export function findUnsupported(json: unknown): readonly TriggerIssue[] {
  return RULES.filter(({ pointer, allows }) => {
    const value = valueAt(json, pointer)
    return value !== undefined && !allows(value)
  }).map(({ pointer, code, detail }) => ({ pointer, code, detail }))
}
