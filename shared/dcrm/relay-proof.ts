/**
 * Proofs of a party to a relay: that it means an envelope for this mailbox, and that it is the one that listens. Envelopes are public, so that
 * without the first anybody could fill mailboxes and the parts of others with old ones. Source: docs/dcrm.md, relays.
 * @module
 */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Header of a request to a relay that carries a proof: an Ed25519 signature as 128 hex digits. */
export const PROOF_HEADER = 'fusion-proof'
const PROOF = /^[0-9a-f]{128}$/

/** What is proven about a mailbox: that its sender means this encoded envelope for it, or that this party listens there. */
export type RelayClaim = Readonly<{ kind: 'post'; envelope: Uint8Array }> | Readonly<{ kind: 'listen'; party: PartyId }>

function claimDigest(hashes: Pick<DcrmBackend, 'sha256'>, openId: Uint8Array, claim: RelayClaim): Uint8Array {
  return hashItems(hashes, claim.kind, openId, claim.kind === 'post' ? claim.envelope : claim.party)
}

/** The header's text, signed with the party's registered key. */
export function proveClaim(
  secret: Uint8Array,
  openId: Uint8Array,
  claim: RelayClaim,
  crypto: Pick<EnvelopeCrypto, 'sign'>,
  hashes: Pick<DcrmBackend, 'sha256'>,
): string {
  return bytesToHex(crypto.sign(secret, claimDigest(hashes, openId, claim))).slice(2)
}

/** Whether the header's text, null for none, proves the claim of the party with this key. */
export function isProven(
  key: Uint8Array,
  proof: string | null,
  openId: Uint8Array,
  claim: RelayClaim,
  crypto: Pick<EnvelopeCrypto, 'verify'>,
  hashes: Pick<DcrmBackend, 'sha256'>,
): boolean {
  return proof !== null && PROOF.test(proof) && crypto.verify(key, claimDigest(hashes, openId, claim), hexToBytes(`0x${proof}`))
}
