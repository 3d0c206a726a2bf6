/** Words of distributed key management that several protocols share. Source: paper 3.5. @module */

/** Registry number of a party on chain, 1 ≤ id ≤ 65535; also its evaluation point in every secret sharing. Never 0. */
export type PartyId = number
/** Which curve and signature a key is for. One key serves one scheme only. */
export type Scheme = 'ecdsa' | 'taproot' | 'ed25519'
/** What a child key may sign; purposes are separate domains. Order is their number on the wire. */
export type KeyPurpose = 'lock-in' | 'change' | 'heartbeat' | 'generic'

/** What all members agree on before any secret exists. */
export type KeyDescriptor = Readonly<{
  chainId: number
  /** 32 bytes: name of the key on chain. */
  requestId: Uint8Array
  scheme: Scheme
  /** Signers required, t ≥ 2; the sharing polynomials have degree t − 1. */
  threshold: number
  /** Committee in ascending order, at least `threshold` long. */
  members: readonly PartyId[]
}>

/** Everything about a key that may be public. Identical at all members. */
export type PublicKey = Readonly<{
  descriptor: KeyDescriptor
  /** 32 bytes, see `keyIdOf`. */
  keyId: Uint8Array
  /** 0 after generation; one more with each refresh or resharing. */
  epoch: number
  /** Encoded A_0 … A_(t−1); A_0 is the *untweaked* public key X. */
  commitments: readonly Uint8Array[]
  /** Encoded X_i = x_i·T of each member, in the order of `descriptor.members`. */
  publicShares: readonly Uint8Array[]
  /** Dealers whose contributions make up the key, ascending. */
  qualified: readonly PartyId[]
}>

/** One member's part of a key. */
export type KeyShare = Readonly<{
  publicKey: PublicKey
  self: PartyId
  /** 32 bytes big-endian, below the group order. Secret. */
  secret: Uint8Array
}>
