/** What became of relayed intents. @module */
import type { Intent } from '#shared/api/http-trigger.ts'
import { readEvent } from '#workers/chain/native-event.ts'
import { type Block, receipt } from '#workers/chain/rpc.ts'
import { openIntents, settleIntent } from '#workers/db/records.ts'
import type { Env } from '#workers/env.ts'

const OPEN_MAX = 100
/** A transaction not in a block after this long will not get there: its nonce was passed or its sender is empty. */
const GIVEN_UP_MS = 600_000

/** Settles one intent when its transaction is in a block; gives it as it stands. */
export async function settleFromReceipt(env: Env, intent: Intent): Promise<Intent> {
  const found = await receipt(env, intent.txHash)
  if (found === null) return intent
  const registered = found.logs.map((log) => readEvent(log)).find((event) => event?.kind === 'row' && event.isRegistration)
  const outcome = {
    status: found.status === 1 ? ('DONE' as const) : ('FAILED' as const),
    entryId: registered?.kind === 'row' ? registered.id : intent.entryId,
    blockNumber: found.blockNumber,
    detail: found.status === 1 ? null : 'the transaction reverted',
  }
  await settleIntent(env, intent.id, outcome)
  return { ...intent, ...outcome }
}

/** Settles the open intents whose transactions are in these blocks. */
export async function settleIntents(env: Env, range: readonly Block[]): Promise<void> {
  const hashes = new Set(range.flatMap(({ transactions }) => transactions))
  if (hashes.size === 0) return
  for (const intent of await openIntents(env, OPEN_MAX)) {
    if (hashes.has(intent.txHash)) await settleFromReceipt(env, intent)
    else if (intent.createdAtMs < Date.now() - GIVEN_UP_MS)
      await settleIntent(env, intent.id, {
        status: 'FAILED',
        entryId: intent.entryId,
        blockNumber: null,
        detail: 'not included in ten minutes',
      })
  }
}
