/** Keys as a trusted dealer would hand them out: for tests of what comes after key generation. @module */
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
