/**
 * HTTP bodies of the trigger API. State changes are EIP-712 intents of the owner, which the edge relays and cannot alter.
 * Source: whitepaper 4.2.1, 4.4; typed data in shared/trigger/intents.ts.
 * @module
 */
import * as z from 'zod'
import { zAddress, zCount, zHash, zHex, zPageQuery, zSignature, zUint, zUnixMs } from '#shared/api/http.ts'

/** A trigger description as JSON; its own schema and limits are in shared/api/trigger.ts and are applied to the text. */
export const zTriggerJson = z.record(z.string(), z.unknown())

/** Body of `POST /v1/triggers:validate`. */
export const zValidateRequest = z.strictObject({ trigger: zTriggerJson })

/** What a valid description is on chain and what it costs. */
export const zValidateResponse = z.strictObject({
  /** Canonical encoding, as `CallingList.register` takes it. */
  encoded: zHex(4096),
  descHash: zHash,
  /** Next due time (Unix ms) or height, 0 when only an event can make it due. */
  dueAt: zCount,
  /** Gas of one fire: call and evaluation. */
  gasPerFire: zUint,
  /** Refundable deposit for the row. */
  depositWei: zUint,
  /** Highest price of one fire: gas at the description's own limit, tip and attestation fee. */
  feePerFireMaxWei: zUint,
})

/** Body of `POST /v1/triggers:simulate`: would it fire on the present head, and what would its call do. */
export const zSimulateRequest = z.strictObject({
  trigger: zTriggerJson,
  owner: zAddress,
  /** Feed conditions: judge this report instead of the recorded ones. */
  feedValue: z.string().max(80).optional(),
})

/** Outcome of a simulation; `call` is absent when it is not due. */
export const zSimulateResponse = z.strictObject({
  due: z.boolean(),
  reason: z.string(),
  blockHash: zHash,
  call: z
    .strictObject({
      from: zAddress,
      to: zAddress,
      data: zHex(65_536),
      success: z.boolean(),
      /** Gas of the call as a transaction of its own; absent when it reverts. */
      gas: zUint.optional(),
      returnData: zHex(65_536),
      revertReason: z.string().optional(),
    })
    .optional(),
})

const intentFields = {
  owner: zAddress,
  /** Paid from the owner's balance in CallingList to the relaying edge. */
  relayFeeWei: zUint,
  /** The owner's next intent nonce. */
  nonce: zUint,
  /** Unix seconds after which the intent is void. */
  deadline: zUint,
  signature: zSignature,
} as const

/** Body of `POST /v1/triggers`. */
export const zRegisterRequest = z.strictObject({ trigger: zTriggerJson, fundWei: zUint, ...intentFields })
/** Body of `PATCH /v1/triggers/{id}`. */
export const zReviseRequest = z.strictObject({ trigger: zTriggerJson, ...intentFields })
/** Body of pause, resume and cancel. */
export const zPlainIntentRequest = z.strictObject(intentFields)
/** Body of fund and withdraw. */
export const zAmountIntentRequest = z.strictObject({ amountWei: zUint, ...intentFields })

/** What an intent can ask for. */
export const INTENT_ACTIONS = ['register', 'revise', 'pause', 'resume', 'fund', 'withdraw', 'cancel'] as const
export type IntentAction = (typeof INTENT_ACTIONS)[number]

/** State of a relayed intent. `DONE`: its effect is in a block; `FAILED`: the transaction reverted or was refused. */
export const zIntent = z.strictObject({
  id: zHash,
  action: z.enum(INTENT_ACTIONS),
  owner: zAddress,
  status: z.enum(['SENT', 'DONE', 'FAILED']),
  txHash: zHash,
  /** The entry concerned; known from the start except for `register`. */
  entryId: zHash.nullable(),
  blockNumber: zCount.nullable(),
  detail: z.string().nullable(),
  createdAtMs: zUnixMs,
})
export type Intent = z.infer<typeof zIntent>

/** Filter of `GET /v1/triggers`. */
export const zTriggerQuery = zPageQuery.extend({
  owner: zAddress.optional(),
  contract: zAddress.optional(),
  status: z.enum(['ACTIVE', 'PAUSED', 'EXHAUSTED', 'EXPIRED', 'CANCELLED']).optional(),
})

/** One row of the calling list as of block `blockNumber`. */
export const zTriggerRow = z.strictObject({
  id: zHash,
  owner: zAddress,
  contract: zAddress,
  name: z.string(),
  kind: z.string(),
  status: z.string(),
  revision: zCount,
  dueAt: zCount,
  fires: zCount,
  missed: zCount,
  fundingWei: zUint,
  blockNumber: zCount,
  /** Exact row, in the codec of shared/api/entry.ts. */
  entry: z.unknown(),
  /** The description as JSON. */
  trigger: z.unknown(),
})
export type TriggerRow = z.infer<typeof zTriggerRow>
export const zTriggerPage = z.strictObject({ items: z.array(zTriggerRow), next: z.string().nullable() })

/** One firing. Times that are not known yet are null. */
export const zFire = z.strictObject({
  fireKey: zHash,
  entryId: zHash,
  occurrence: zHash,
  success: z.boolean(),
  gasUsed: zUint,
  txHash: zHash,
  blockNumber: zCount,
  blockHash: zHash,
  /** Time of the block that ran it. */
  blockTimeMs: zUnixMs,
  /** When this edge saw the block, and saw it final. */
  seenAtMs: zUnixMs,
  finalAtMs: zUnixMs.nullable(),
  /** Hops of the attestation behind it, for feed triggers served by this edge. */
  cause: z
    .strictObject({
      bundleSequence: zCount,
      batchAtMs: zUnixMs,
      bundleAtMs: zUnixMs,
      includedBlock: zCount.nullable(),
      includedAtMs: zUnixMs.nullable(),
    })
    .nullable(),
})
export type Fire = z.infer<typeof zFire>
export const zFirePage = z.strictObject({ items: z.array(zFire), next: z.string().nullable() })

/** Why an entry does or does not fire on the present head. */
export const zExplain = z.strictObject({
  id: zHash,
  blockHash: zHash,
  outcome: z.enum(['due', 'notDue', 'unknown']),
  reason: z.string(),
  detail: z.string(),
  retryAtMs: zUnixMs,
  entry: z.unknown(),
})

/** Query and answer of `GET /v1/triggers/{id}/schedule`. */
export const zScheduleQuery = z.strictObject({ n: z.coerce.number().int().min(1).max(64).default(5) })
export const zSchedule = z.strictObject({
  id: zHash,
  /** `time`: Unix ms; `height`: block numbers; `event`: no timetable. */
  unit: z.enum(['time', 'height', 'event']),
  due: z.array(z.strictObject({ at: zCount, rfc3339: z.string().nullable() })),
})
