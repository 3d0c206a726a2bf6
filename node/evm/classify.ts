/** Raw transactions of packages, decoded once and put into the order of the block. Source: docs/protocol.md, execution. @module */
import { toHex } from '#node/evm/hex.ts'
import type { NativeExecutors, ParentView } from '#node/evm/native-types.ts'
import { decodeUserTransaction } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import { mergeOrder } from '#shared/hhcm/merge.ts'
import type { MergeClass } from '#shared/hhcm/merge.ts'
import type { Package } from '#shared/hhcm/types.ts'
import { decodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import { ATTESTATION_TX_TYPE, TRIGGER_TX_TYPE } from '#shared/params.ts'
import { decodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Hash, Lane } from '#shared/types.ts'

type Body =
  | Readonly<{ kind: 'user'; tx: UserTransaction }>
  | Readonly<{ kind: 'trigger'; tx: TriggerTx }>
  | Readonly<{ kind: 'attestation'; tx: AttestationTx }>
  | Readonly<{ kind: 'malformed'; code: string }>

/** A transaction of a package with the lane it came through. */
export type PlacedTransaction = Readonly<{ raw: Uint8Array; hash: Hash; lane: Lane; body: Body }>

function decodeBody(crypto: CryptoSuite, raw: Uint8Array): Body {
  try {
    if (raw[0] === TRIGGER_TX_TYPE) return { kind: 'trigger', tx: decodeTriggerTx(raw) }
    if (raw[0] === ATTESTATION_TX_TYPE) return { kind: 'attestation', tx: decodeAttestationTx(raw) }
    return { kind: 'user', tx: decodeUserTransaction(crypto, raw) }
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'malformed', code: error.code }
    throw error
  }
}

function mergeClass({ body }: PlacedTransaction, natives: NativeExecutors, parent: ParentView): MergeClass {
  if (body.kind === 'trigger') {
    const { entryId, occurrence } = body.tx
    return { kind: 'trigger', scheduledAtMs: natives.scheduledAtMs(body.tx, parent), entryId, occurrence }
  }
  if (body.kind === 'attestation') return { kind: 'attestation', sourceSet: body.tx.sourceSet, shard: body.tx.shard, round: body.tx.round }
  return { kind: 'user' }
}

/** All transactions of the packages in the order in which the block tries them. */
export function placeTransactions(
  packages: readonly (Package | null)[],
  parent: ParentView,
  crypto: CryptoSuite,
  natives: NativeExecutors,
): readonly PlacedTransaction[] {
  const lanes = packages.map((item, lane) =>
    (item?.txs ?? []).map((raw): PlacedTransaction => ({ raw, hash: toHex(crypto.keccak256(raw)), lane, body: decodeBody(crypto, raw) })),
  )
  const classes = lanes.map((txs) => txs.map((placed) => mergeClass(placed, natives, parent)))
  return mergeOrder(classes, parent.header.randomness).flatMap(({ lane, index }) => lanes[lane]?.[index] ?? [])
}
