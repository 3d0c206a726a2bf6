/**
 * The evaluator's closed set of reads as JSON, for `fusion_read(key, blockHash)`. Integers that may exceed 2^53 are decimal text.
 * @module
 */
import * as z from 'zod'
import { feedReportToJson } from '#shared/api/chain-reads.ts'
import { zFeedReport } from '#shared/api/http-oracle.ts'
import { zAddress, zCount, zHash, zHex, zUint, zUnixMs } from '#shared/api/http.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import type { ReadKey, ReadValue } from '#shared/trigger/types.ts'

/** Bytes of call data or return data a read may carry. */
const DATA_BYTES_MAX = 1_048_576

const zReadKey = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('feedHistory'), feed: zHash, after: zUint }),
  z.strictObject({
    kind: z.literal('logs'),
    afterPosition: zUint,
    addresses: z.array(zAddress).max(16),
    topics: z.array(z.array(zHash).max(16)).max(4),
  }),
  z.strictObject({ kind: z.literal('call'), from: zAddress, to: zAddress, data: zHex(4096), gasLimit: zCount }),
])
/** A read key in JSON. */
export type ReadKeyJson = z.infer<typeof zReadKey>

const zLog = z.strictObject({ address: zAddress, topics: z.array(zHash).max(4), data: zHex(DATA_BYTES_MAX) })
const zReadValue = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('feedHistory'), reports: z.array(zFeedReport), oldest: zUint }),
  z.strictObject({
    kind: z.literal('logs'),
    logs: z.array(z.strictObject({ position: zUint, log: zLog, timeMs: zUnixMs })),
    oldestHeight: zCount,
  }),
  z.strictObject({ kind: z.literal('call'), success: z.boolean(), returnData: zHex(DATA_BYTES_MAX), gasUsed: zUint }),
])
/** An answer in JSON. */
export type ReadValueJson = z.infer<typeof zReadValue>

function parse<T>(schema: z.ZodType<T>, json: unknown): T {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new DecodeError('READ_INVALID', parsed.error.issues[0]?.path.join('.') ?? '', z.prettifyError(parsed.error))
}

/** JSON of a key. */
export function readKeyToJson(key: ReadKey): ReadKeyJson {
  switch (key.kind) {
    case 'feedHistory':
      return { ...key, after: key.after.toString() }
    case 'logs':
      return {
        kind: key.kind,
        afterPosition: key.afterPosition.toString(),
        addresses: [...key.addresses],
        topics: key.topics.map((accepted) => [...accepted]),
      }
    case 'call':
      return { ...key, data: bytesToHex(key.data) }
  }
}

/** Key of a JSON value. @throws {DecodeError} READ_INVALID */
export function readKeyFromJson(json: unknown): ReadKey {
  const key = parse(zReadKey, json)
  switch (key.kind) {
    case 'feedHistory':
      return { ...key, after: BigInt(key.after) }
    case 'logs':
      return { ...key, afterPosition: BigInt(key.afterPosition) }
    case 'call':
      return { ...key, data: hexToBytes(key.data) }
  }
}

/** JSON of an answer. */
export function readValueToJson(value: ReadValue): ReadValueJson {
  switch (value.kind) {
    case 'feedHistory':
      return { kind: value.kind, reports: value.reports.map(feedReportToJson), oldest: value.oldest.toString() }
    case 'logs':
      return {
        kind: value.kind,
        logs: value.logs.map(({ position, log, timeMs }) => ({
          position: position.toString(),
          log: { address: log.address, topics: [...log.topics], data: bytesToHex(log.data) },
          timeMs,
        })),
        oldestHeight: value.oldestHeight,
      }
    case 'call':
      return { kind: value.kind, success: value.success, returnData: bytesToHex(value.returnData), gasUsed: value.gasUsed.toString() }
  }
}

/** Answer of a JSON value. @throws {DecodeError} READ_INVALID */
export function readValueFromJson(json: unknown): ReadValue {
  const value = parse(zReadValue, json)
  switch (value.kind) {
    case 'feedHistory':
      return {
        kind: value.kind,
        reports: value.reports.map((report) => ({ ...report, sequence: BigInt(report.sequence), value: BigInt(report.value) })),
        oldest: BigInt(value.oldest),
      }
    case 'logs':
      return {
        ...value,
        logs: value.logs.map(({ position, log, timeMs }) => ({
          position: BigInt(position),
          log: { ...log, data: hexToBytes(log.data) },
          timeMs,
        })),
      }
    case 'call':
      return { ...value, returnData: hexToBytes(value.returnData), gasUsed: BigInt(value.gasUsed) }
  }
}
