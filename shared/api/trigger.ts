/**
 * Trigger descriptions as JSON: the schema, the bounds checked before parsing, and the way to the canonical form and back.
 * JSON ends here; the chain knows the binary encoding only. Source: whitepaper 4.2.1, 4.4.1.
 * @module
 */
import * as z from 'zod'
import { zAddress, zCount, zHash, zHex, zUint } from '#shared/api/http.ts'
import { parseInstant } from '#shared/api/instant.ts'
import { literalContent } from '#shared/api/trigger-literal.ts'
import { findUnsupported } from '#shared/api/trigger-unsupported.ts'
import type { TriggerIssue } from '#shared/api/trigger-unsupported.ts'
import { bytesToHex, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { toFixedPoint } from '#shared/oracle/decimal.ts'
import { parseAbiType } from '#shared/trigger/abi-word.ts'
import { REFS, encodeDescription } from '#shared/trigger/codec.ts'
import type { Action, Argument, Condition, Mode, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** Largest JSON text of a trigger, UTF-8 bytes. */
export const TRIGGER_JSON_BYTES_MAX = 16_384
/** Deepest nesting of a trigger's JSON. */
export const TRIGGER_JSON_DEPTH_MAX = 8

/** A feed a condition names, by id or as "set/feed": its id and the decimals its values have; null when there is none. */
export type FeedResolver = (feed: string) => Readonly<{ id: Hash; decimals: number }> | null

/** A description, or everything that is wrong with its JSON. */
export type TriggerParse =
  | Readonly<{ ok: true; description: TriggerDescription }>
  | Readonly<{ ok: false; issues: readonly TriggerIssue[] }>

const zInstant = z.union([z.int().nonnegative(), z.string().max(40)]).transform((value, context) => {
  const instant = typeof value === 'number' ? value : parseInstant(value)
  if (instant !== null) return instant
  context.addIssue({ code: 'custom', message: 'expected integer milliseconds or RFC 3339' })
  return z.NEVER
})
const zWei = zUint.transform(BigInt)
const zDecimal = z.string().regex(/^-?(?:0|[1-9][0-9]{0,57})(?:\.[0-9]{1,57})?$/, 'expected a decimal number as text')

const zTiming = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('at'), times: z.array(zInstant).max(255) }),
  z.strictObject({ kind: z.literal('interval'), anchor: zInstant, everySec: zCount, jitterSec: z.literal(0).optional() }),
  z.strictObject({ kind: z.literal('cron'), expr: z.string().max(255), tz: z.literal('UTC').optional() }),
  z.strictObject({ kind: z.literal('height'), at: zCount, every: zCount.default(0) }),
])
const zMissed = z.discriminatedUnion('mode', [
  z.strictObject({ mode: z.literal('skip') }),
  z.strictObject({ mode: z.literal('latest'), graceSec: zCount }),
  z.strictObject({ mode: z.literal('all'), max: zCount, graceSec: zCount }),
])
const zCondition = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('feed.compare'),
    source: z.strictObject({ feed: z.string().max(200), maxAgeSec: zCount }),
    op: z.enum(['lt', 'le', 'gt', 'ge']),
    value: zDecimal,
    edge: z.strictObject({ mode: z.literal('rising'), rearm: zDecimal, holdReports: zCount.default(1), holdSec: zCount.default(0) }),
  }),
  z.strictObject({
    kind: z.literal('log'),
    addresses: z.array(zAddress).max(255),
    topics: z.array(z.array(zHash).max(255)).max(255).default([]),
  }),
  z.strictObject({
    kind: z.literal('view'),
    to: zAddress,
    data: zHex(4096),
    gas: zCount,
    returns: z.literal('bool'),
    checkEvery: z.strictObject({ blocks: zCount }),
    edge: z.strictObject({ mode: z.enum(['rising', 'level']) }),
  }),
  z.strictObject({
    kind: z.literal('chain.deposit'),
    chain: zUint,
    reporters: zHash,
    to: zAddress,
    asset: z.literal('native'),
    min: zUint,
    finality: z.strictObject({ level: z.literal('depth'), confirmations: zCount }),
  }),
])

/** The JSON a dapp sends. Strict: an unknown key is an error; nothing that costs money has a default. */
export const zTrigger = z.strictObject({
  v: z.literal(1),
  name: z.string().max(255),
  mode: z.discriminatedUnion('type', [
    z.strictObject({ type: z.literal('active') }),
    z.strictObject({ type: z.literal('timing'), when: zTiming, missed: zMissed }),
    z.strictObject({ type: z.literal('event'), when: zCondition }),
  ]),
  action: z.strictObject({
    to: zAddress,
    value: zUint.default('0'),
    /** "name(types)", or the selector in place of the name. */
    abi: z
      .string()
      .max(600)
      .regex(/^(?:[A-Za-z_$][\w$]*|0x[0-9a-f]{8})\([a-z0-9,]*\)$/, 'expected "name(type,type)" without spaces'),
    args: z
      .array(z.union([z.strictObject({ lit: z.union([z.string().max(8194), z.boolean()]) }), z.strictObject({ ref: z.enum(REFS) })]))
      .max(255),
    gasLimit: zCount,
  }),
  limits: z.strictObject({
    notBefore: zInstant.optional(),
    expiresAt: zInstant,
    maxFires: zCount,
    cooldownSec: zCount,
    overlap: z.literal('serial').optional(),
    maxFeePerGas: zWei,
    onHighGas: z.literal('wait').optional(),
    freshForSec: zCount,
  }),
  onRevert: z.strictObject({ retries: zCount, backoffSec: zCount, thenPause: z.boolean() }),
  funding: z.strictObject({ reserve: zWei, lowWater: zWei, tip: zWei, attestationFee: zWei }),
  privacy: z.literal('public').optional(),
})
/** The JSON before defaults and conversions. */
export type TriggerJson = z.input<typeof zTrigger>
type Parsed = z.output<typeof zTrigger>

function reject(code: string, path: string, message: string): never {
  throw new DecodeError(code, path, message)
}

/** Fixed-point value of a threshold. Finer than the feed is an error: rounding would move the owner's level. */
function feedValue(text: string, decimals: number, pointer: string): bigint {
  if ((text.split('.')[1] ?? '').length > decimals) reject('TOO_FINE', pointer, `the feed has ${decimals} decimals`)
  return toFixedPoint(text, decimals)
}

function conditionOf(when: Extract<Parsed['mode'], { type: 'event' }>['when'], resolve: FeedResolver): Condition {
  switch (when.kind) {
    case 'feed.compare': {
      const feed = resolve(when.source.feed) ?? reject('FEED_UNKNOWN', '/mode/when/source/feed', 'no such feed')
      return {
        kind: when.kind,
        feed: feed.id,
        maxAgeSec: when.source.maxAgeSec,
        op: when.op,
        value: feedValue(when.value, feed.decimals, '/mode/when/value'),
        rearm: feedValue(when.edge.rearm, feed.decimals, '/mode/when/edge/rearm'),
        holdReports: when.edge.holdReports,
        holdSec: when.edge.holdSec,
      }
    }
    case 'log':
      return when
    case 'view':
      return {
        kind: when.kind,
        to: when.to,
        data: hexToBytes(when.data),
        gasLimit: when.gas,
        everyBlocks: when.checkEvery.blocks,
        edge: when.edge.mode,
      }
    case 'chain.deposit':
      return {
        kind: when.kind,
        chain: BigInt(when.chain),
        reporters: when.reporters,
        to: when.to,
        minWei: BigInt(when.min),
        confirmations: when.finality.confirmations,
      }
  }
}

function modeOf(mode: Parsed['mode'], resolve: FeedResolver): Mode {
  if (mode.type === 'active') return mode
  if (mode.type === 'event') return { type: 'event', when: conditionOf(mode.when, resolve) }
  const { when, missed } = mode
  if (when.kind === 'at') return { type: 'timing', when: { kind: 'at', timesMs: when.times }, missed }
  if (when.kind === 'interval')
    return { type: 'timing', when: { kind: 'interval', anchorMs: when.anchor, everySec: when.everySec }, missed }
  if (when.kind === 'cron') return { type: 'timing', when: { kind: 'cron', expr: when.expr }, missed }
  return { type: 'timing', when, missed }
}

function selectorOf(abi: string): Hex {
  return abi.startsWith('0x') ? (abi.slice(0, 10) as Hex) : bytesToHex(keccak_256(utf8ToBytes(abi)).subarray(0, 4))
}

function argumentOf(argument: Parsed['action']['args'][number], typeName: string, pointer: string): Argument {
  if ('ref' in argument) return argument
  const type =
    parseAbiType(typeName) ?? reject('TYPE_UNSUPPORTED', '/action/abi', `"${typeName}" is neither a one-word static type nor bytes`)
  return { lit: literalContent(type, argument.lit) ?? reject('LITERAL_INVALID', `${pointer}/lit`, `not a value of type ${typeName}`) }
}

function actionOf({ to, value, abi, args, gasLimit }: Parsed['action']): Action {
  const list = abi.slice(abi.indexOf('(') + 1, -1)
  const types = list === '' ? [] : list.split(',')
  if (types.length !== args.length) reject('ARITY', '/action/args', `abi has ${types.length} parameters, got ${args.length} arguments`)
  return {
    to,
    valueWei: BigInt(value),
    selector: selectorOf(abi),
    types,
    args: args.map((argument, index) => argumentOf(argument, types[index] ?? '', `/action/args/${index}`)),
    gasLimit,
  }
}

function descriptionOf(parsed: Parsed, resolve: FeedResolver): TriggerDescription {
  const { limits, funding } = parsed
  const description: TriggerDescription = {
    version: 1,
    name: parsed.name,
    mode: modeOf(parsed.mode, resolve),
    action: actionOf(parsed.action),
    limits: {
      notBeforeMs: limits.notBefore ?? 0,
      expiresAtMs: limits.expiresAt,
      maxFires: limits.maxFires,
      cooldownSec: limits.cooldownSec,
      maxFeePerGasWei: limits.maxFeePerGas,
      freshForSec: limits.freshForSec,
    },
    onRevert: parsed.onRevert,
    funding: {
      reserveWei: funding.reserve,
      lowWaterWei: funding.lowWater,
      tipWei: funding.tip,
      attestationFeeWei: funding.attestationFee,
    },
  }
  encodeDescription(description)
  return description
}

function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** Converts a parsed JSON value. Says nothing about limits of the chain: `checkDescription` does. */
export function triggerFromJson(json: unknown, resolve: FeedResolver): TriggerParse {
  const unsupported = findUnsupported(json)
  if (unsupported.length > 0) return { ok: false, issues: unsupported }
  const parsed = zTrigger.safeParse(json)
  if (!parsed.success)
    return {
      ok: false,
      issues: parsed.error.issues.map(({ path, message }) => ({ pointer: pointerOf(path), code: 'SCHEMA', detail: message })),
    }
  try {
    return { ok: true, description: descriptionOf(parsed.data, resolve) }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    return { ok: false, issues: [{ pointer: error.path, code: error.code, detail: error.message }] }
  }
}

/** Deepest nesting of brackets outside strings; any text has one. */
function nestingOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gs)) {
    if (token === '[' || token === '{') deepest = Math.max(deepest, ++depth)
    else if (token === ']' || token === '}') depth--
  }
  return deepest
}

/** Parses the text of one trigger: size and depth first, since a parser need not survive either. */
export function parseTriggerJson(text: string, resolve: FeedResolver): TriggerParse {
  const refuse = (code: string, detail: string): TriggerParse => ({ ok: false, issues: [{ pointer: '', code, detail }] })
  if (text.length > TRIGGER_JSON_BYTES_MAX || utf8ToBytes(text).length > TRIGGER_JSON_BYTES_MAX)
    return refuse('JSON_TOO_LARGE', `expected at most ${TRIGGER_JSON_BYTES_MAX} bytes`)
  if (nestingOf(text) > TRIGGER_JSON_DEPTH_MAX) return refuse('JSON_TOO_DEEP', `expected at most ${TRIGGER_JSON_DEPTH_MAX} levels`)
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse('JSON_INVALID', 'not JSON')
  }
  return triggerFromJson(json, resolve)
}
