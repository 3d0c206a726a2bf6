/** Key shares as bytes, for the vault. @module */
import { concatBytes, hexToBytes, bytesToHex } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { SCHEMES } from '#shared/dcrm/descriptor.ts'
import type { KeyShare, PublicKey, Scheme } from '#shared/dcrm/types.ts'
import type { Hex } from '#shared/types.ts'
import * as z from 'zod'

const zHex = z.string().regex(/^0x(?:[0-9a-f]{2})*$/)
const bytes = zHex.transform((text) => hexToBytes(text as Hex))
const zPublic = z.strictObject({
  chainId: z.int(),
  requestId: bytes,
  scheme: z.enum(SCHEMES),
  threshold: z.int(),
  members: z.array(z.int()),
  keyId: bytes,
  epoch: z.int(),
  commitments: z.array(bytes),
  publicShares: z.array(bytes),
  qualified: z.array(z.int()),
})

const json = ({ descriptor, keyId, epoch, commitments, publicShares, qualified }: PublicKey): unknown => ({
  chainId: descriptor.chainId,
  requestId: bytesToHex(descriptor.requestId),
  scheme: descriptor.scheme satisfies Scheme,
  threshold: descriptor.threshold,
  members: descriptor.members,
  keyId: bytesToHex(keyId),
  epoch,
  commitments: commitments.map(bytesToHex),
  publicShares: publicShares.map(bytesToHex),
  qualified,
})

/** Secret ‖ id ‖ JSON of the public part. */
export function encodeShare({ publicKey, self, secret }: KeyShare): Uint8Array {
  return concatBytes(secret, Uint8Array.of(self >>> 8, self & 255), new TextEncoder().encode(JSON.stringify(json(publicKey))))
}

/** The inverse. @throws {DecodeError} KEY_INVALID */
export function decodeShare(stored: Uint8Array): KeyShare {
  return {
    publicKey: decodePublicKey(new TextDecoder().decode(stored.subarray(34))),
    self: (stored[32] ?? 0) * 256 + (stored[33] ?? 0),
    secret: stored.slice(0, 32),
  }
}

/** The public part of a key as JSON text: what a party without a share may ask any member for, and check against the chain. */
export function encodePublicKey(key: PublicKey): string {
  return JSON.stringify(json(key))
}

/** The inverse. @throws {DecodeError} KEY_INVALID */
export function decodePublicKey(text: string): PublicKey {
  try {
    const { chainId, requestId, scheme, threshold, members, ...rest } = zPublic.parse(JSON.parse(text))
    return { descriptor: { chainId, requestId, scheme, threshold, members }, ...rest }
  } catch {
    throw new DecodeError('KEY_INVALID', '', 'expected the public part of a key')
  }
}
