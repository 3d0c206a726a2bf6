/** Signatures of the operator's key in the protocol's form. Deterministic (RFC 6979), so that repeating a step gives the same bytes. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { batchDigest, type UnsignedBatch } from '#shared/oracle/batch.ts'
import { factDigest, type UnsignedFact } from '#shared/oracle/fact.ts'
import { receiptDigest, type UnsignedReceipt } from '#shared/oracle/receipt.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest, attestationTxHash, encodeAttestationTx, type UnsignedAttestationTx } from '#shared/oracle/transaction.ts'
import type { Batch, BatchReceipt, SignedFact } from '#shared/oracle/types.ts'
import { encodeTriggerTx, triggerTxDigest, triggerTxHash, type TriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { operator, type Env } from '#workers/env.ts'

/** The operator's address. */
export const operatorAddress = (env: Env): Address => operator(env).address.toLowerCase() as Address

const signDigest = async (env: Env, digest: Uint8Array): Promise<Hex> =>
  toCanonicalSignature(await operator(env).sign({ hash: bytesToHex(digest) }))

/** Signs as a provider. */
export async function signBatch(env: Env, batch: UnsignedBatch, genesisHash: Hash): Promise<Batch> {
  return { ...batch, provider: operatorAddress(env), signature: await signDigest(env, batchDigest(batch, genesisHash, nobleSuite)) }
}

/** Signs as a reporter. */
export async function signFact(env: Env, fact: UnsignedFact, genesisHash: Hash): Promise<SignedFact> {
  return { ...fact, reporter: operatorAddress(env), signature: await signDigest(env, factDigest(fact, genesisHash, nobleSuite)) }
}

/** Signs as a collector. */
export async function signReceipt(env: Env, receipt: UnsignedReceipt, genesisHash: Hash): Promise<BatchReceipt> {
  return { ...receipt, signature: await signDigest(env, receiptDigest(receipt, genesisHash, nobleSuite)) }
}

/** A transaction ready to send. */
export type RawTransaction = Readonly<{ hash: Hash; raw: Hex }>

/** Signs an AttestationTx as its submitter. */
export async function signAttestation(env: Env, tx: UnsignedAttestationTx, genesisHash: Hash): Promise<RawTransaction> {
  const signature = await signDigest(env, attestationTxDigest(tx, genesisHash, nobleSuite))
  const raw = encodeAttestationTx({ ...tx, submitter: operatorAddress(env), signature })
  return { hash: attestationTxHash(raw, nobleSuite), raw: bytesToHex(raw) }
}

/** Signs a TriggerTx as its submitter and beneficiary. */
export async function signTrigger(env: Env, tx: Omit<TriggerTx, 'beneficiary' | 'signature'>, genesisHash: Hash): Promise<RawTransaction> {
  const unsigned: TriggerTx = { ...tx, beneficiary: operatorAddress(env), signature: null }
  const signature = hexToBytes(await signDigest(env, triggerTxDigest(unsigned, genesisHash, nobleSuite)))
  const raw = encodeTriggerTx({
    ...unsigned,
    signature: {
      yParity: signature[64] === 1 ? 1 : 0,
      r: bytesToHex(signature.subarray(0, 32)),
      s: bytesToHex(signature.subarray(32, 64)),
    },
  })
  return { hash: triggerTxHash(raw, nobleSuite), raw: bytesToHex(raw) }
}
