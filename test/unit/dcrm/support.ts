/** Keys as a trusted dealer would hand them out, and hashing as docs/dcrm.md describes it, by the host's own hashes. @module */
import { createHash } from 'node:crypto'
import { concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { evaluate } from '#shared/dcrm/polynomial.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'

/** 32 bytes that follow from a word. */
export const seedOf = (word: string): Uint8Array => nobleBackend.sha256(utf8ToBytes(word))

/** Shares of a fresh key; `word` makes it another one. */
export function dealtShares(
  scheme: Scheme,
  threshold: number,
  members: readonly PartyId[],
  word = 'key',
  backend: DcrmBackend = nobleBackend,
): ReadonlyMap<PartyId, KeyShare> {
  const group = groupOfScheme(backend, scheme)
  const drbg = createDrbg(backend, seedOf(word), 'dealer')
  const coefficients = Array.from({ length: threshold }, () => drbg.scalar(group))
  const secrets = members.map((id) => evaluate(coefficients, id, group.order))
  const publicKey = {
    descriptor: { chainId: 81920, requestId: seedOf(`${word} request`), scheme, threshold, members },
    keyId: seedOf(`${word} id`),
    epoch: 0,
    commitments: group.encodeAll(coefficients.map((coefficient) => group.mulBase(coefficient))),
    publicShares: group.encodeAll(secrets.map((secret) => group.mulBase(secret))),
    qualified: members,
  }
  return new Map(members.map((self, index) => [self, { publicKey, self, secret: scalarBytes(secrets[index] ?? 0n) }]))
}

/** Bytes of hex without prefix. */
export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))
/** Hex without prefix. */
export const unhex = (...bytes: readonly Uint8Array[]): string => Buffer.from(concatBytes(...bytes)).toString('hex')

/** What docs/dcrm.md hashes for a tag and items: each with its length in 32 bits before it. */
export const encoded = (tag: string, ...items: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(
    [Buffer.from(`FUSION-DCRM/v1/${tag}`), ...items].flatMap((item) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(item.length)
      return [length, item]
    }),
  )
/** H(tag, items) in hex. */
export const hashed = (tag: string, ...items: readonly Uint8Array[]): string =>
  createHash('sha256')
    .update(encoded(tag, ...items))
    .digest('hex')
/** A number as the 8 bytes it is hashed as. */
export const u64 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
