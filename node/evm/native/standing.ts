/**
 * Native transactions and entries as they stand on a head: whether the pool may keep one, and why an entry does or does not fire.
 * @module
 */
import type { PoolRefusal } from '#node/chain-reader.ts'
import type { NativeConfig } from '#node/evm/native/config.ts'
import { slotTimeMs } from '#node/evm/native/config.ts'
import type { NextBlock } from '#node/evm/native/duty.ts'
import { Judge, evaluationContext } from '#node/evm/native/judge.ts'
import type { TurnState } from '#node/evm/native/trigger.ts'
import { judgeTrigger } from '#node/evm/native/trigger.ts'
import type { BlockContext, ParentView } from '#node/evm/native-types.ts'
import type { NativeTransaction } from '#node/pool/native-transaction.ts'
import { entryToJson } from '#shared/api/entry.ts'
import type { zExplainRead } from '#shared/api/chain-reads.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import { readRoundMark, readSourceSet } from '#shared/oracle/feed-registry.ts'
import { attestationGas } from '#shared/oracle/gas.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import { verifyAttestation } from '#shared/oracle/verify-attestation.ts'
import { readFired, readRow } from '#shared/trigger/calling-list.ts'
import { explain } from '#shared/trigger/explain.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Evaluation } from '#shared/trigger/types.ts'
import type { Hash, Slot, Wei } from '#shared/types.ts'
import type * as z from 'zod'

/** The block that would follow a head now. */
export type Following = NextBlock & Readonly<{ parent: ParentView; slot: Slot; baseFeeWei: Wei }>

async function refuseTrigger(tx: TriggerTx, following: Following, config: NativeConfig): Promise<string | null> {
  const { state, header } = following.parent
  const turn: TurnState = {
    row: (id) => Promise.resolve(readFrom(readRow(id, config.crypto), state)),
    isFired: (key) => Promise.resolve(readFrom(readFired(key, config.crypto), state)),
  }
  const block: BlockContext = { ...following, number: header.number + 1, author: header.author }
  const judged = await judgeTrigger(tx, block, turn, config)
  return 'skip' in judged ? judged.skip : null
}

function refuseAttestation(tx: AttestationTx, { parent, timeMs, baseFeeWei }: Following, config: NativeConfig): string | null {
  const { chainId, genesisHash, crypto } = config
  const set = readFrom(readSourceSet(tx.sourceSet, crypto), parent.state)
  if (set === null) return 'SOURCE_SET'
  if (set.fundingWei < BigInt(attestationGas(tx, 0, 0)) * baseFeeWei) return 'FUNDS'
  const { lastRound } = readFrom(readRoundMark(set.id, tx.shard, crypto), parent.state)
  const verdict = verifyAttestation(tx, set, { chainId, genesisHash, blockTimeMs: timeMs, lastRound }, crypto)
  return verdict.ok ? null : verdict.code
}

/** Why a native transaction would not be executed in the block that follows; null when it would. */
export async function refuseNative(native: NativeTransaction, following: Following, config: NativeConfig): Promise<PoolRefusal | null> {
  const code =
    native.kind === 'trigger' ? await refuseTrigger(native.tx, following, config) : refuseAttestation(native.tx, following, config)
  return code === null ? null : { code, message: `not valid on block ${following.parent.header.number}: ${code}` }
}

function reasonOf(evaluation: Exclude<Evaluation, { kind: 'need' }>): string {
  return evaluation.kind === 'due' ? (evaluation.due.missedReason ?? 'DUE') : evaluation.reason
}

/** Why an entry does or does not fire; null when there is no such entry. */
export async function explainEntry(
  id: Hash,
  blockHash: Hash,
  following: Following,
  config: NativeConfig,
): Promise<z.infer<typeof zExplainRead>> {
  const entry = readFrom(readRow(id, config.crypto), following.parent.state)?.entry
  if (entry === undefined) return null
  const judge = new Judge(following.parent, evaluationContext(following.parent, following, config), config)
  const evaluation = await judge.evaluate(entry)
  return {
    id,
    blockHash,
    outcome: evaluation.kind,
    reason: reasonOf(evaluation),
    detail: explain(evaluation),
    retryAtMs: evaluation.kind === 'notDue' ? evaluation.retryAtMs : 0,
    entry: entryToJson(entry),
  }
}

/** Slot of the first block that could hold what arrives at this moment of the node's clock: the running slot is being packed. */
export function followingSlot(headSlot: Slot, nowMs: number, config: NativeConfig): Slot {
  return Math.max(headSlot, Math.floor((nowMs - slotTimeMs(config, 0)) / config.slotMs)) + 1
}
