/** Signed native transactions for pool and RPC tests. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { encodeAttestationTx } from '#shared/oracle/transaction.ts'
import { encodeTriggerTx, triggerTxDigest } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { accounts, batchAt, feedA, leaf, setId, signAttestation, signBatch } from '#test/unit/oracle/fixture.ts'
import { addressOf, CHAIN_ID, dev } from '#test/unit/pool/fake-chain.ts'
import { GENESIS_HASH, hashOf } from '#test/unit/store/blocks.ts'

type Fields = Partial<TriggerTx>

const unsigned = (fields: Fields): TriggerTx => ({
  chainId: CHAIN_ID,
  entryId: hashOf('entry'),
  revision: 1,
  occurrence: hashOf('occurrence'),
  attempt: 0,
  evidence: new Uint8Array(0),
  beneficiary: addressOf(0),
  signature: null,
  ...fields,
})

/** 0x46 without signature, as package authors make it. */
export const ownTrigger = (beneficiary: Address, fields: Fields = {}): Uint8Array => encodeTriggerTx(unsigned({ ...fields, beneficiary }))

/** 0x46 signed by dev account `index`. */
export async function trigger(index: number, fields: Fields = {}, genesisHash: Hash = GENESIS_HASH): Promise<Uint8Array> {
  const tx = unsigned(fields)
  const signature = await dev(index).sign({ hash: bytesToHex(triggerTxDigest(tx, genesisHash, nobleSuite)) })
  const bytes = hexToBytes(signature)
  const yParity = bytes[64] === 28 ? 1 : 0
  const r: Hex = bytesToHex(bytes.subarray(0, 32))
  const s: Hex = bytesToHex(bytes.subarray(32, 64))
  return encodeTriggerTx({ ...tx, signature: { yParity, r, s } })
}

/** 0x47 for one round with `batchCount` providers' batches, submitted by provider account 0 of the oracle fixture. */
export async function attestation(round: number, batchCount: number, chainId = CHAIN_ID): Promise<Uint8Array> {
  const providers = accounts.slice(0, batchCount)
  const batches = await Promise.all(providers.map((account) => signBatch(account, batchAt(round, [leaf(feedA, 100n)]))))
  const [submitter] = accounts
  if (submitter === undefined) throw new Error('the fixture has accounts')
  return encodeAttestationTx(await signAttestation(submitter, { chainId, sourceSet: setId, shard: 0, round, batches }))
}
