/**
 * Relaying a signed intent: checked here first, so that a hopeless one costs nobody anything, then sent as the operator's transaction.
 * The contract checks everything again. @module
 */
import type { Intent, IntentAction } from '#shared/api/http-trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { recoverSigner } from '#shared/oracle/signature.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { intentDigest, intentDomain, type Intent as SignedIntent } from '#shared/trigger/intents.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { headFollower } from '#workers/chain/head-follower.ts'
import { settleFromReceipt } from '#workers/chain/intents.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import { intentById, recordIntent } from '#workers/db/records.ts'
import { config, type Env } from '#workers/env.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { callingListError, intentCall, ownerBalance } from '#workers/submit/calling-list.ts'
import { submitter } from '#workers/submit/submitter.ts'

/** Longest a request may wait for its transaction, seconds. */
const WAIT_SEC_MAX = 10
const POLL_MS = 250
/** Nonces an intent may be ahead of the chain, and looks at the chain until it must have caught up. */
const AHEAD_MAX = 16n
const AHEAD_TRIES = 24

/** What is relayed and what it needs. */
export type Relay = Readonly<{
  action: IntentAction
  intent: SignedIntent
  signature: Hex
  description: Hex
  /** Least balance of the owner, relay fee included. */
  neededWei: bigint
  entryId: Hash | null
}>

async function checkIntent(env: Env, { intent, signature, neededWei }: Relay, digest: Uint8Array): Promise<void> {
  const { message } = intent
  const problem = (pointer: string, code: string, detail: string) => [{ pointer, code, detail }]
  if (recoverSigner(digest, signature, nobleSuite) !== message.owner)
    throw new ApiProblem(
      'SIGNATURE_INVALID',
      'See errors.',
      problem('/signature', 'SIGNATURE_INVALID', `not by ${message.owner} over this intent`),
    )
  const { relayFeeMinWei } = config(env)
  if (message.relayFeeWei < relayFeeMinWei)
    throw new ApiProblem('RELAY_FEE_TOO_LOW', 'See errors.', problem('/relayFeeWei', 'TOO_LOW', `at least ${relayFeeMinWei}`))
  if (message.deadline * 1000n < BigInt(Date.now()))
    throw new ApiProblem('INTENT_REFUSED', 'See errors.', problem('/deadline', 'EXPIRED', 'the deadline has passed'))
  const balanceWei = await ownerBalance(env, message.owner)
  if (balanceWei < neededWei)
    throw new ApiProblem(
      'BALANCE_TOO_LOW',
      `The owner's balance in the calling list is ${balanceWei} wei, ${neededWei} are needed; call deposit() first.`,
      problem('/owner', 'BALANCE_TOO_LOW', `${balanceWei} of ${neededWei} wei`),
    )
}

/** Seconds a client is ready to wait. Source: RFC 7240, preference `wait`. */
export function preferredWait(header: string | undefined): number {
  const seconds = /(?:^|[,;\s])wait=(\d{1,4})/.exec(header ?? '')?.[1]
  return seconds === undefined ? 0 : Math.min(WAIT_SEC_MAX, Number(seconds))
}

async function waitFor(env: Env, intent: Intent, seconds: number): Promise<Intent> {
  let current = intent
  for (let left = (seconds * 1000) / POLL_MS; left > 0 && current.status === 'SENT'; left--) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    current = await settleFromReceipt(env, current)
  }
  return current
}

/**
 * Sends the operator's transaction. An intent that comes right after another of its owner waits for that one to be in a block, since the
 * contract counts intents and validators are a moment apart.
 */
async function sendIntent(env: Env, { intent, description, signature }: Relay): Promise<Hash> {
  const request = { to: CALLING_LIST, data: intentCall(intent, description, signature), valueWei: 0n }
  for (let tries = 1; ; tries++) {
    const sent = await submitter(env).relay(request)
    if (sent.sent) return sent.txHash
    const refusal = callingListError(sent.revertData)
    const ahead = refusal?.expectedNonce == null ? 0n : intent.message.nonce - refusal.expectedNonce
    if (ahead <= 0n || ahead > AHEAD_MAX || tries === AHEAD_TRIES) {
      const reason = refusal?.text ?? sent.detail
      throw new ApiProblem('INTENT_REFUSED', reason, [{ pointer: '', code: 'REVERTED', detail: reason }])
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Checks and sends. The intent's id is the digest that was signed, so the same intent is the same resource. */
export async function relayIntent(env: Env, relay: Relay, waitSec: number): Promise<Intent> {
  const { chainId, genesisHash } = await chainMeta(env)
  const digest = intentDigest(relay.intent, intentDomain(chainId, genesisHash), nobleSuite)
  const id = bytesToHex(digest)
  const known = await intentById(env, id)
  if (known !== null && known.status !== 'FAILED') return waitFor(env, known, waitSec)
  await checkIntent(env, relay, digest)
  const txHash = await sendIntent(env, relay)
  const intent: Intent = {
    id,
    action: relay.action,
    owner: relay.intent.message.owner,
    status: 'SENT',
    txHash,
    entryId: relay.entryId,
    blockNumber: null,
    detail: null,
    createdAtMs: Date.now(),
  }
  await recordIntent(env, intent)
  await headFollower(env).poke()
  return waitFor(env, intent, waitSec)
}
