/** Routes that change the calling list: every one relays an EIP-712 intent of the owner. Source: whitepaper 4.4.1; EIP-712. @module */
import { createRoute } from '@hono/zod-openapi'
import type { Context } from 'hono'
import {
  type Intent,
  zAmountIntentRequest,
  zIntent,
  zPlainIntentRequest,
  zRegisterRequest,
  zReviseRequest,
} from '#shared/api/http-trigger.ts'
import { zIdPath } from '#shared/api/http.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { descHash, encodeDescription } from '#shared/trigger/codec.ts'
import { finality } from '#workers/chain/rpc.ts'
import { intentById } from '#workers/db/records.ts'
import { type AppEnv, body, json, problems, subApp } from '#workers/http/context.ts'
import { preferredWait, relayIntent } from '#workers/http/intent-relay.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { acceptTrigger } from '#workers/triggers/description.ts'
import { readEntry } from '#workers/triggers/evaluation.ts'

const answers = {
  201: json(zIntent, 'In the calling list; only with `Prefer: wait=N`'),
  202: json(zIntent, 'Sent; follow /v1/intents/{id}'),
  ...problems,
}

const registerRoute = createRoute({
  method: 'post',
  path: '/v1/triggers',
  tags: ['dapps'],
  summary: 'Register a trigger by a signed intent',
  request: { body: body(zRegisterRequest) },
  responses: answers,
})

const reviseRoute = createRoute({
  method: 'patch',
  path: '/v1/triggers/{id}',
  tags: ['dapps'],
  summary: 'Replace the description; If-Match guards the revision',
  request: { params: zIdPath, body: body(zReviseRequest) },
  responses: answers,
})

const plainRoute = <Action extends 'pause' | 'resume' | 'cancel'>(action: Action) =>
  createRoute({
    method: 'post',
    path: `/v1/triggers/{id}/${action}`,
    tags: ['dapps'],
    summary: `${action[0]?.toUpperCase() ?? ''}${action.slice(1)} a trigger`,
    request: { params: zIdPath, body: body(zPlainIntentRequest) },
    responses: answers,
  })

const amountRoute = <Action extends 'fund' | 'withdraw'>(action: Action, summary: string) =>
  createRoute({
    method: 'post',
    path: `/v1/triggers/{id}/${action}`,
    tags: ['dapps'],
    summary,
    request: { params: zIdPath, body: body(zAmountIntentRequest) },
    responses: answers,
  })

const intentRoute = createRoute({
  method: 'get',
  path: '/v1/intents/{id}',
  tags: ['dapps'],
  summary: 'What became of a relayed intent',
  request: { params: zIdPath },
  responses: { 200: json(zIntent, 'Intent'), ...problems },
})

type Signed = Readonly<{ owner: `0x${string}`; relayFeeWei: string; nonce: string; deadline: string }>

const relayFields = ({ owner, relayFeeWei, nonce, deadline }: Signed) => ({
  owner,
  relayFeeWei: BigInt(relayFeeWei),
  nonce: BigInt(nonce),
  deadline: parseDeadline(deadline),
})

function parseDeadline(text: string): bigint {
  const deadline = BigInt(text)
  if (deadline >= 1n << 64n)
    throw new ApiProblem('INVALID_REQUEST', 'See errors.', [{ pointer: '/deadline', code: 'RANGE', detail: 'expected Unix seconds' }])
  return deadline
}

function answer<Path extends string>(c: Context<AppEnv, Path>, intent: Intent) {
  c.header(
    'location',
    intent.action === 'register' && intent.entryId !== null ? `/v1/triggers/${intent.entryId}` : `/v1/intents/${intent.id}`,
  )
  if (intent.status === 'FAILED') throw new ApiProblem('INTENT_REFUSED', intent.detail ?? 'the transaction failed')
  return intent.status === 'DONE' ? c.json(intent, 201) : c.json(intent, 202)
}

const wait = (c: Context<AppEnv>): number => preferredWait(c.req.header('prefer'))

/** If-Match names the revision the client saw. */
async function checkRevision(c: Context<AppEnv>, id: `0x${string}`): Promise<void> {
  const wanted = c.req.header('if-match')
  if (wanted === undefined || wanted === '*') return
  const entry = await readEntry(c.env, id, (await finality(c.env)).head.hash)
  if (entry === null) throw new ApiProblem('NOT_FOUND', 'No trigger has this id.')
  if (wanted.replaceAll('"', '') !== String(entry.revision))
    throw new ApiProblem('PRECONDITION_FAILED', `The entry has revision ${entry.revision}.`)
}

const app = subApp()
  .openapi(registerRoute, async (c) => {
    const request = c.req.valid('json')
    const { description, acceptance } = await acceptTrigger(c.env, request.trigger)
    const fields = relayFields(request)
    const fundWei = BigInt(request.fundWei)
    const intent = await relayIntent(
      c.env,
      {
        action: 'register',
        intent: { kind: 'Register', message: { ...fields, descHash: descHash(description), fundWei } },
        signature: request.signature,
        description: bytesToHex(encodeDescription(description)),
        neededWei: fundWei + fields.relayFeeWei + acceptance.depositWei,
        entryId: null,
      },
      wait(c),
    )
    return answer(c, intent)
  })
  .openapi(reviseRoute, async (c) => {
    const { id } = c.req.valid('param')
    const request = c.req.valid('json')
    await checkRevision(c, id)
    const { description } = await acceptTrigger(c.env, request.trigger)
    const fields = relayFields(request)
    const intent = await relayIntent(
      c.env,
      {
        action: 'revise',
        intent: { kind: 'Revise', message: { ...fields, id, descHash: descHash(description) } },
        signature: request.signature,
        description: bytesToHex(encodeDescription(description)),
        neededWei: fields.relayFeeWei,
        entryId: id,
      },
      wait(c),
    )
    return answer(c, intent)
  })
  .openapi(intentRoute, async (c) => {
    const intent = await intentById(c.env, c.req.valid('param').id)
    if (intent === null) throw new ApiProblem('NOT_FOUND', 'This edge relayed no such intent.')
    return c.json(intent, 200)
  })

const PLAIN = { pause: 'Pause', resume: 'Resume', cancel: 'Cancel' } as const
for (const action of ['pause', 'resume', 'cancel'] as const)
  app.openapi(plainRoute(action), async (c) => {
    const { id } = c.req.valid('param')
    const request = c.req.valid('json')
    await checkRevision(c, id)
    const fields = relayFields(request)
    const relay = {
      action,
      intent: { kind: PLAIN[action], message: { ...fields, id } },
      signature: request.signature,
      description: '0x' as const,
      neededWei: fields.relayFeeWei,
      entryId: id,
    }
    return answer(c, await relayIntent(c.env, relay, wait(c)))
  })

const AMOUNT = { fund: ['Fund', 'Move balance into the funding'], withdraw: ['Withdraw', 'Move funding back to the balance'] } as const
for (const action of ['fund', 'withdraw'] as const)
  app.openapi(amountRoute(action, AMOUNT[action][1]), async (c) => {
    const { id } = c.req.valid('param')
    const request = c.req.valid('json')
    await checkRevision(c, id)
    const fields = relayFields(request)
    const amountWei = BigInt(request.amountWei)
    const relay = {
      action,
      intent: { kind: AMOUNT[action][0], message: { ...fields, id, amountWei } },
      signature: request.signature,
      description: '0x' as const,
      neededWei: fields.relayFeeWei + (action === 'fund' ? amountWei : 0n),
      entryId: id,
    }
    return answer(c, await relayIntent(c.env, relay, wait(c)))
  })

/** Routes that relay intents. */
export const intentRoutes = app
