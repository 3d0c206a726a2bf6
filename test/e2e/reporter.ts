/** The development network's four providers without an edge: their signed batches go to a validator as one AttestationTx per round. @module */
import { privateKeyToAccount } from 'viem/accounts'
import { signBatch } from '#node/sdk/index.ts'
import { PROVIDER_INDEXES, devAccount } from '#node/supervisor/accounts.ts'
import { callRpc } from '#node/supervisor/wait.ts'
import { zSourceSets } from '#shared/api/chain-reads.ts'
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { Hash } from '#shared/types.ts'

/** Sends one round of the set "demo", all feeds at the same value. Gives the transaction's hash. */
export async function reportRound(rpcUrl: string, value: bigint): Promise<Hash> {
  const { chainId, genesisHash } = (await callRpc(rpcUrl, 'fusion_meta')) as Readonly<{ chainId: number; genesisHash: Hash }>
  const set = zSourceSets.parse(await callRpc(rpcUrl, 'fusion_sourceSets', ['latest'])).find(({ name }) => name === 'demo')
  if (set === undefined) throw new Error('the development network has a source set "demo"')
  const leaf = { value, confidence: 0n, low: value, high: value, status: 'OK' as const }
  const observations = {
    sourceSet: set.id,
    shard: 0,
    roundMs: set.roundMs,
    observedAtMs: Date.now(),
    leaves: (set.shards[0] ?? []).map(({ id }) => ({ ...leaf, feed: id })),
  }
  const signed = PROVIDER_INDEXES.map((index) => signBatch(privateKeyToAccount(devAccount(index).privateKey), observations, genesisHash))
  const batches = (await Promise.all(signed)).toSorted((left, right) => compareHex(left.provider, right.provider))
  const unsigned = { chainId, sourceSet: set.id, shard: 0, round: batches[0]?.round ?? 0, batches }
  const { address, privateKey } = devAccount(PROVIDER_INDEXES[0])
  const hash = bytesToHex(attestationTxDigest(unsigned, genesisHash, nobleSuite))
  const signature = toCanonicalSignature(await privateKeyToAccount(privateKey).sign({ hash }))
  const raw = encodeAttestationTx({ ...unsigned, submitter: address, signature })
  return (await callRpc(rpcUrl, 'eth_sendRawTransaction', [bytesToHex(raw)])) as Hash
}
