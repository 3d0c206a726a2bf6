/** Signatures of users and providers over the protocol's typed structs, by any account that signs typed data. Source: EIP-712. @module */
import { nobleSuite } from '#shared/crypto/noble.ts'
import type { UnsignedBatch } from '#shared/oracle/batch.ts'
import { BATCH_TYPE, batchMessage, leavesFault, roundOf } from '#shared/oracle/batch.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import type { Batch, Leaf } from '#shared/oracle/types.ts'
import type { Intent } from '#shared/trigger/intents.ts'
import { INTENT_TYPES, intentDomain } from '#shared/trigger/intents.ts'
import { compareHex } from '#shared/bytes.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

/** What signing needs of an account; viem's local accounts and wallet clients bound to one account have it. */
export type TypedDataSigner = Readonly<{
  address: string
  signTypedData: (parameters: {
    domain: Readonly<Record<string, unknown>>
    types: Readonly<Record<string, readonly Readonly<{ name: string; type: string }>[]>>
    primaryType: string
    message: Readonly<Record<string, unknown>>
  }) => Promise<Hex>
}>

/** An account's address as the protocol writes it. */
export const addressOf = (account: Pick<TypedDataSigner, 'address'>): Address => account.address.toLowerCase() as Address

/** Values of one round: the round follows from the time of observation. */
export type Observations = Readonly<{ sourceSet: Hash; shard: number; roundMs: number; observedAtMs: number; leaves: readonly Leaf[] }>

/** A batch signed by a provider. Leaves are put in order. @throws {RangeError} for values no batch may hold */
export async function signBatch(account: TypedDataSigner, observations: Observations, genesisHash: Hash): Promise<Batch> {
  const { sourceSet, shard, roundMs, observedAtMs } = observations
  const leaves = observations.leaves.toSorted((left, right) => compareHex(left.feed, right.feed))
  const fault = leavesFault(leaves)
  if (fault !== null) throw new RangeError(`the leaves break the rule ${fault}`)
  const batch: UnsignedBatch = { sourceSet, shard, round: roundOf(observedAtMs, roundMs), observedAtMs, leaves }
  const signature = await account.signTypedData({
    domain: attestationDomain(genesisHash),
    types: { Batch: BATCH_TYPE.members },
    primaryType: 'Batch',
    message: batchMessage(batch, nobleSuite),
  })
  return { ...batch, provider: addressOf(account), signature: toCanonicalSignature(signature) }
}

/** An owner's signature on an intent. */
export async function signIntent(account: TypedDataSigner, intent: Intent, chainId: number, genesisHash: Hash): Promise<Hex> {
  const signature = await account.signTypedData({
    domain: intentDomain(chainId, genesisHash),
    types: { [intent.kind]: INTENT_TYPES[intent.kind].members },
    primaryType: intent.kind,
    message: intent.message,
  })
  return toCanonicalSignature(signature)
}
