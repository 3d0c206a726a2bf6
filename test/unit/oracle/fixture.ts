/** Accounts, a set and signed objects for the oracle tests. Signatures are made by viem, an implementation independent of ours. @module */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { parseSignature } from 'viem'
import { mnemonicToAccount, sign } from 'viem/accounts'
import { bytesToHex, compareHex, concatBytes } from '#shared/bytes.ts'
import { BATCH_TYPE, batchMessage } from '#shared/oracle/batch.ts'
import type { UnsignedBatch } from '#shared/oracle/batch.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { FACT_TYPE, factMessage } from '#shared/oracle/fact.ts'
import type { UnsignedFact } from '#shared/oracle/fact.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest } from '#shared/oracle/transaction.ts'
import type { AttestationTx, Batch, Leaf, SignedFact, SourceSet } from '#shared/oracle/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

const MNEMONIC = 'test test test test test test test test test test test junk'
const lower = (hex: Hex): Hex => `0x${hex.slice(2).toLowerCase()}`

/** Recovery by the curve library itself, so that the tests do not depend on the project's suites. */
export const suite: Recovery = {
  keccak256: keccak_256,
  recoverAddress: (digest, r, s, yParity) => {
    try {
      const signature = secp256k1.Signature.fromBytes(concatBytes(r, s)).addRecoveryBit(yParity)
      const key = signature.recoverPublicKey(digest).toBytes(false)
      return bytesToHex(keccak_256(key.subarray(1)).subarray(12))
    } catch {
      return null
    }
  },
}

export const genesisHash: Hash = `0x${'5a'.repeat(32)}`
export const chainId = 81920
export const ROUND_MS = 1500

/** Development accounts in rising order of address. */
export const accounts = Array.from({ length: 7 }, (_, index) => mnemonicToAccount(MNEMONIC, { addressIndex: 20 + index })).toSorted(
  (left, right) => compareHex(lower(left.address), lower(right.address)),
)
export type TestAccount = (typeof accounts)[number]
export const addressOf = (account: TestAccount): Address => lower(account.address)

const owner: Address = `0x${'0a'.repeat(20)}`
export const setId = sourceSetId(owner, 'demo', suite)
export const feeds = ['sp500', 'rain'].map((name) => feedId(setId, name, suite)).toSorted(compareHex)
const [feedA = '0x', feedB = '0x'] = feeds
export { feedA, feedB }

export function sourceSet(memberCount: number, kind: SourceSet['kind'] = 'provider'): SourceSet {
  return {
    id: setId,
    kind,
    members: accounts.slice(0, memberCount).map((account) => addressOf(account)),
    roundMs: ROUND_MS,
    shardCount: 1,
    feeds: kind === 'provider' ? [feeds] : [],
    owner,
    fundingWei: 10n ** 18n,
  }
}

export const leaf = (feed: Hash, value: bigint, changes: Partial<Leaf> = {}): Leaf => ({
  feed,
  value,
  confidence: 0n,
  low: value,
  high: value,
  status: 'OK',
  ...changes,
})

export async function signBatch(account: TestAccount, batch: UnsignedBatch): Promise<Batch> {
  const signature = await account.signTypedData({
    domain: attestationDomain(genesisHash),
    types: { Batch: BATCH_TYPE.members },
    primaryType: 'Batch',
    message: batchMessage(batch, suite),
  })
  return { ...batch, provider: addressOf(account), signature: toCanonicalSignature(signature) }
}

export const batchAt = (round: number, leaves: readonly Leaf[], changes: Partial<UnsignedBatch> = {}): UnsignedBatch => ({
  sourceSet: setId,
  shard: 0,
  round,
  observedAtMs: round * ROUND_MS + 100,
  leaves,
  ...changes,
})

export async function signFact(account: TestAccount, fact: UnsignedFact): Promise<SignedFact> {
  const signature = await account.signTypedData({
    domain: attestationDomain(genesisHash),
    types: { Fact: FACT_TYPE.members },
    primaryType: 'Fact',
    message: factMessage(fact, suite),
  })
  return { ...fact, reporter: addressOf(account), signature: toCanonicalSignature(signature) }
}

export async function signAttestation(account: TestAccount, tx: Omit<AttestationTx, 'submitter' | 'signature'>): Promise<AttestationTx> {
  const key = account.getHdKey().privateKey
  if (key === null) throw new Error('account has a key')
  const signed = await sign({ hash: bytesToHex(attestationTxDigest(tx, genesisHash, suite)), privateKey: bytesToHex(key) })
  const { r, s, yParity } = parseSignature(`0x${signed.r.slice(2)}${signed.s.slice(2)}${signed.v === 28n ? '1c' : '1b'}`)
  return { ...tx, submitter: addressOf(account), signature: `${r}${s.slice(2)}0${yParity}` as Hex }
}
