/**
 * Primitives of the edge's HTTP surface: ids, amounts, pages and problems. All objects are strict: an unknown field is an error.
 * Source: RFC 9457 (problems), RFC 6901 (pointers), RFC 8288 (paging by links).
 * @module
 */
import * as z from 'zod'
import type { Address, Hash, Hex } from '#shared/types.ts'

const hexString = (pattern: RegExp, what: string): z.ZodType<Hex, Hex> =>
  z.string().regex(pattern, `expected ${what}, lower-case hex with 0x`) as unknown as z.ZodType<Hex, Hex>

/** 32 bytes, lower-case. */
export const zHash: z.ZodType<Hash, Hash> = hexString(/^0x[0-9a-f]{64}$/, '32 bytes')
/** 20 bytes, lower-case. */
export const zAddress: z.ZodType<Address, Address> = hexString(/^0x[0-9a-f]{40}$/, '20 bytes')
/** 65 bytes r ‖ s ‖ yParity (0 or 1). */
export const zSignature: z.ZodType<Hex, Hex> = hexString(/^0x[0-9a-f]{128}0[01]$/, '65 bytes ending in 00 or 01')
/** Bytes of at most `bytesMax`. */
export const zHex = (bytesMax: number): z.ZodType<Hex, Hex> =>
  z
    .string()
    .max(2 + 2 * bytesMax)
    .regex(/^0x(?:[0-9a-f]{2})*$/, 'expected whole bytes, lower-case hex with 0x') as unknown as z.ZodType<Hex, Hex>
/** Unsigned integer as decimal text, at most 78 digits: amounts and nonces, which a JSON number cannot hold. */
export const zUint = z.string().regex(/^(?:0|[1-9][0-9]{0,77})$/, 'expected a non-negative integer as decimal text')
/** Signed integer as decimal text. */
export const zInt = z.string().regex(/^(?:0|-?[1-9][0-9]{0,77})$/, 'expected an integer as decimal text')
/** Non-negative safe integer. */
export const zCount = z.int().nonnegative()
/** Integer milliseconds since the Unix epoch. */
export const zUnixMs = z.int().nonnegative()

/** One thing wrong with a request, pointing into it. */
export const zProblemError = z.strictObject({
  /** RFC 6901 pointer into the body, or the name of a parameter. */
  pointer: z.string(),
  code: z.string(),
  detail: z.string(),
})

/** `application/problem+json`; `code` is stable, `type` is a URI made of it. */
export const zProblem = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  instance: z.string().optional(),
  errors: z.array(zProblemError).optional(),
})
export type Problem = z.infer<typeof zProblem>

/** Most items one page holds. */
export const PAGE_LIMIT_MAX = 200

/** Query of every list: an opaque cursor from `next`, and a page size. */
export const zPageQuery = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(50),
})

/** Path with an entry, feed or intent id. */
export const zIdPath = z.strictObject({ id: zHash })
