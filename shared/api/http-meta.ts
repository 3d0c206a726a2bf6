/** HTTP bodies that concern everybody: identity of chain and edge, health, status, faucet. @module */
import * as z from 'zod'
import { zFire } from '#shared/api/http-trigger.ts'
import { zFeed } from '#shared/api/http-oracle.ts'
import { zAddress, zCount, zHash, zUint, zUnixMs } from '#shared/api/http.ts'

/** Which chain this edge serves, who it is, and its limits. */
export const zMeta = z.strictObject({
  name: z.literal('fusion-edge'),
  chainId: zCount,
  genesisHash: zHash,
  genesisTimeMs: zUnixMs,
  slotMs: zCount,
  callingList: zAddress,
  feedRegistry: zAddress,
  /** Signs receipts, relays intents, submits transactions. */
  operator: zAddress,
  rpcUrls: z.array(z.string()),
  /** Least `relayFeeWei` this edge relays for. */
  relayFeeMinWei: zUint,
  faucet: z.boolean(),
  limits: z.strictObject({ bodyBytes: zCount, triggerBytes: zCount, pageItems: zCount }),
})
export type Meta = z.infer<typeof zMeta>

/** Alive, and able to reach a validator. */
export const zHealth = z.strictObject({ status: z.enum(['ok', 'degraded']), head: zCount.nullable(), headAgeMs: zCount.nullable() })

/** Everything the status page shows. */
export const zStatus = z.strictObject({
  nowMs: zUnixMs,
  validators: z.array(
    z.strictObject({
      url: z.string(),
      reachable: z.boolean(),
      head: zCount.nullable(),
      safe: zCount.nullable(),
      finalized: zCount.nullable(),
    }),
  ),
  fires: z.array(zFire.extend({ name: z.string() })),
  feeds: z.array(zFeed),
  accounts: z.array(z.strictObject({ role: z.string(), address: zAddress, balanceWei: zUint.nullable() })),
  triggers: z.array(
    z.strictObject({ id: zHash, name: z.string(), kind: z.string(), status: z.string(), fires: zCount, dueAt: zCount, fundingWei: zUint }),
  ),
  submissions: z.array(z.strictObject({ txHash: zHash, kind: z.string(), outcome: z.string(), detail: z.string(), createdAtMs: zUnixMs })),
})
export type Status = z.infer<typeof zStatus>

/** Body and answer of `POST /v1/faucet`; development networks only. */
export const zFaucetRequest = z.strictObject({ address: zAddress })
export const zFaucetResponse = z.strictObject({ txHash: zHash, amountWei: zUint })
