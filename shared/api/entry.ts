/**
 * Rows of the calling list as JSON, without loss: the description travels as its canonical bytes, integers that may exceed 2^53 as
 * decimal text. @module
 */
import * as z from 'zod'
import { zAddress, zCount, zHash, zHex, zUint, zUnixMs } from '#shared/api/http.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { DESCRIPTION_BYTES_MAX, decodeDescription, descHash, encodeDescription } from '#shared/trigger/codec.ts'
import type { Entry } from '#shared/trigger/types.ts'

const zEntry = z.strictObject({
  id: zHash,
  owner: zAddress,
  caller: zAddress,
  revision: zCount,
  /** Canonical encoding of the description. */
  description: zHex(DESCRIPTION_BYTES_MAX),
  status: z.enum(['ACTIVE', 'PAUSED', 'EXHAUSTED', 'EXPIRED', 'CANCELLED']),
  registeredAt: z.strictObject({ height: zCount, timeMs: zUnixMs }),
  fundingWei: zUint,
  fires: zCount,
  missed: zCount,
  attempt: zCount,
  backoffUntilMs: zUnixMs,
  lastFireMs: zUnixMs,
  dueAt: zCount,
  armed: z.boolean(),
  cursor: zUint,
  edgeCount: zCount,
})
/** A row as `fusion_entry` and `fusion_callingList` give it. */
export type EntryJson = z.infer<typeof zEntry>

/** JSON of a row. */
export function entryToJson(entry: Entry): EntryJson {
  return {
    id: entry.id,
    owner: entry.owner,
    caller: entry.caller,
    revision: entry.revision,
    description: bytesToHex(encodeDescription(entry.description)),
    status: entry.status,
    registeredAt: entry.registeredAt,
    fundingWei: entry.fundingWei.toString(),
    fires: entry.fires,
    missed: entry.missed,
    attempt: entry.attempt,
    backoffUntilMs: entry.backoffUntilMs,
    lastFireMs: entry.lastFireMs,
    dueAt: entry.dueAt,
    armed: entry.armed,
    cursor: entry.cursor.toString(),
    edgeCount: entry.edgeCount,
  }
}

/** Row of a JSON value. @throws {DecodeError} ENTRY_INVALID, DESCRIPTION_INVALID */
export function entryFromJson(json: unknown): Entry {
  const parsed = zEntry.safeParse(json)
  if (!parsed.success) throw new DecodeError('ENTRY_INVALID', parsed.error.issues[0]?.path.join('.') ?? '', z.prettifyError(parsed.error))
  const description = decodeDescription(hexToBytes(parsed.data.description))
  return {
    ...parsed.data,
    description,
    descHash: descHash(description),
    fundingWei: BigInt(parsed.data.fundingWei),
    cursor: BigInt(parsed.data.cursor),
  }
}
