/** Sending a native transaction: it has no nonce, so it may go to every validator at any time and any number of times. @module */
import type { Hash, Hex } from '#shared/types.ts'
import { broadcast, type Broadcast } from '#workers/chain/rpc.ts'
import { recordSubmission } from '#workers/db/records.ts'
import type { Env } from '#workers/env.ts'

/** Sends a signed 0x46 or 0x47 everywhere and records what the validators said. Never throws for a refusal. */
export async function submitNative(env: Env, kind: 'trigger' | 'attestation', txHash: Hash, raw: Hex): Promise<Broadcast> {
  const sent = await broadcast(env, raw)
  await recordSubmission(env, {
    txHash,
    kind,
    outcome: sent.accepted ? 'accepted' : 'refused',
    detail: [...new Set(sent.outcomes)].join('; ').slice(0, 500),
    createdMs: Date.now(),
  })
  return sent
}
