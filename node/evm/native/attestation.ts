/**
 * Execution of an AttestationTx at its turn: signatures, quorum and window are judged, medians are stored, the set pays.
 * Source: whitepaper 4.2.2; docs/protocol.md, "AttestationTx 0x47".
 * @module
 */
import type { NativeHost } from '#node/chain-reader.ts'
import type { NativeConfig } from '#node/evm/native/config.ts'
import { feedUpdatedLog, roundAttestedLog } from '#node/evm/native/events.ts'
import { readAtTurn, writeAtTurn } from '#node/evm/native/host-storage.ts'
import type { NativeContext, NativeOutcome } from '#node/evm/native-types.ts'
import type { Log } from '#shared/chain/types.ts'
import type { StorageWrite } from '#shared/codec/solidity-storage.ts'
import { fundingWrite, readFeed, readRoundMark, readSourceSet, roundWrite } from '#shared/oracle/feed-registry.ts'
import { attestationGas } from '#shared/oracle/gas.ts'
import { storeMedian } from '#shared/oracle/round-storage.ts'
import type { AttestationTx, SourceSet } from '#shared/oracle/types.ts'
import type { FeedMedian } from '#shared/oracle/verify-attestation.ts'
import { verifyAttestation } from '#shared/oracle/verify-attestation.ts'
import { ROUNDS_PER_BLOCK_MAX } from '#shared/params.ts'
import { FEED_REGISTRY, FEE_COLLECTOR } from '#shared/system.ts'

type Changes = Readonly<{ writes: readonly StorageWrite[]; logs: readonly Log[]; reports: number }>

async function changesOf(
  host: NativeHost,
  tx: AttestationTx,
  set: SourceSet,
  medians: readonly FeedMedian[],
  config: NativeConfig,
): Promise<Changes> {
  const writes: StorageWrite[] = []
  const logs: Log[] = []
  for (const median of medians) {
    const feed = await readAtTurn(readFeed(median.feed, config.crypto), host)
    if (feed === null) continue
    const change = await readAtTurn(storeMedian(feed, median, tx.round, set.members, config.crypto), host)
    writes.push(...change.writes)
    if (change.sequence !== null) logs.push(feedUpdatedLog(median, change.sequence, tx.round))
  }
  return { writes, logs, reports: logs.length }
}

/** Executes an attestation transaction at its turn. */
export async function executeAttestation(
  host: NativeHost,
  tx: AttestationTx,
  context: NativeContext,
  config: NativeConfig,
): Promise<NativeOutcome> {
  const { crypto, chainId, genesisHash } = config
  const set = await readAtTurn(readSourceSet(tx.sourceSet, crypto), host)
  if (set === null) return { skip: 'SOURCE_SET' }
  const leastGas = BigInt(attestationGas(tx, 0, 0))
  if (leastGas > context.gasLeft) return { skip: 'ATTESTATION_BUDGET' }
  if (set.fundingWei < leastGas * context.baseFeeWei) return { skip: 'FUNDS' }
  const { lastRound, height, count } = await readAtTurn(readRoundMark(set.id, tx.shard, crypto), host)
  const before = height === context.number ? count : 0
  if (before >= ROUNDS_PER_BLOCK_MAX) return { skip: 'ROUNDS_PER_BLOCK' }
  const verdict = verifyAttestation(tx, set, { chainId, genesisHash, blockTimeMs: context.timeMs, lastRound }, crypto)
  if (!verdict.ok) return { skip: verdict.code }
  const { medians } = verdict
  if (medians.length === 0) return { skip: 'NOTHING_ATTESTED' }
  const { writes, logs, reports } = await changesOf(host, tx, set, medians, config)
  const gasUsed = BigInt(attestationGas(tx, medians.length, reports))
  if (gasUsed > context.gasLeft) return { skip: 'ATTESTATION_BUDGET' }
  const costWei = gasUsed * context.baseFeeWei
  if (set.fundingWei < costWei || !(await host.transfer(FEED_REGISTRY, FEE_COLLECTOR, costWei))) return { skip: 'FUNDS' }
  await writeAtTurn(host, FEED_REGISTRY, [
    ...writes,
    roundWrite(set.id, tx.shard, { lastRound: tx.round, height: context.number, count: before + 1 }, crypto),
    fundingWrite(set, set.fundingWei - costWei, crypto),
  ])
  for (const log of logs) host.log(log)
  host.log(roundAttestedLog(tx, tx.batches.length, costWei))
  return { status: 1, gasUsed, effectiveGasPriceWei: context.baseFeeWei, from: tx.submitter, to: FEED_REGISTRY }
}
