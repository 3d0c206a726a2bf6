/**
 * The operator's account: one object that signs and sends its ordinary transactions, so that nonces are neither reused nor skipped.
 * A transaction is stored before it is sent and sent again until the chain has passed its nonce. Source: EIP-1559.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { keccak256 } from 'viem'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import { blockByNumber, broadcast, call, chainMeta, estimateGas, finality, pendingNonce, zCountQuantity } from '#workers/chain/rpc.ts'
import { recordSubmission } from '#workers/db/records.ts'
import { operator, type Env } from '#workers/env.ts'

const RESEND_MS = 3000
/** Wei per gas offered above the base fee. */
const TIP_WEI = 100_000_000n

/** A call the operator makes. */
export type RelayRequest = Readonly<{ to: Address; data: Hex; valueWei: bigint }>
/** Sent, or refused before anything was sent; `revertData` is what a contract answered. */
export type RelayResult = Readonly<{ sent: true; txHash: Hash } | { sent: false; detail: string; revertData: Hex | null }>

type Stored = { nonce: number; raw: Hex; hash: Hash }

export class Submitter extends DurableObject<Env> {
  /** Serialises relays: outside calls open the input gate, and two of them must not take one nonce. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS outbox (nonce INTEGER PRIMARY KEY, raw TEXT NOT NULL, hash TEXT NOT NULL)')
  }

  /** Signs and sends one transaction. A request that would revert costs nothing: it is refused by the estimate. */
  relay(request: RelayRequest): Promise<RelayResult> {
    const done = this.#queue.then(() => this.#relay(request))
    this.#queue = done.catch(() => undefined)
    return done
  }

  async #relay(request: RelayRequest): Promise<RelayResult> {
    const account = operator(this.env)
    const from = account.address.toLowerCase() as Address
    let gas: bigint
    try {
      gas = await estimateGas(this.env, { from, to: request.to, data: request.data, value: `0x${request.valueWei.toString(16)}` })
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      return { sent: false, detail: error.message, revertData: typeof error.data === 'string' ? (error.data as Hex) : null }
    }
    const { chainId } = await chainMeta(this.env)
    const head = await blockByNumber(this.env, (await finality(this.env)).head.number)
    const nonce = Math.max(Number(await pendingNonce(this.env, from)), 1 + this.#highest())
    const raw = await account.signTransaction({
      type: 'eip1559',
      chainId,
      nonce,
      to: request.to,
      data: request.data,
      value: request.valueWei,
      gas: (gas * 12n) / 10n,
      maxPriorityFeePerGas: TIP_WEI,
      maxFeePerGas: 2n * (head?.baseFeePerGas ?? 0n) + TIP_WEI,
    })
    const hash = keccak256(raw)
    this.ctx.storage.sql.exec('INSERT INTO outbox (nonce, raw, hash) VALUES (?, ?, ?)', nonce, raw, hash)
    const sent = await broadcast(this.env, raw)
    const detail = [...new Set(sent.outcomes)].join('; ').slice(0, 500)
    await recordSubmission(this.env, {
      txHash: hash,
      kind: 'relay',
      outcome: sent.accepted ? 'accepted' : 'refused',
      detail,
      createdMs: Date.now(),
    })
    if (!sent.accepted) {
      this.ctx.storage.sql.exec('DELETE FROM outbox WHERE nonce = ?', nonce)
      return { sent: false, detail, revertData: null }
    }
    await this.ctx.storage.setAlarm(Date.now() + RESEND_MS)
    return { sent: true, txHash: hash }
  }

  #highest(): number {
    return this.ctx.storage.sql.exec<{ top: number }>('SELECT coalesce(max(nonce), -1) AS top FROM outbox').one().top
  }

  /** Sends again what the chain has not taken yet. */
  override async alarm(): Promise<void> {
    const waiting = this.ctx.storage.sql.exec<Stored>('SELECT nonce, raw, hash FROM outbox ORDER BY nonce LIMIT 100').toArray()
    if (waiting.length === 0) return
    await this.ctx.storage.setAlarm(Date.now() + RESEND_MS)
    const from = operator(this.env).address.toLowerCase()
    const passed = await call(this.env, zCountQuantity, 'eth_getTransactionCount', [from, 'latest'])
    this.ctx.storage.sql.exec('DELETE FROM outbox WHERE nonce < ?', passed)
    for (const { nonce, raw } of waiting) if (nonce >= passed) await broadcast(this.env, raw)
  }
}

/** The operator's one sender. */
export const submitter = (env: Env): DurableObjectStub<Submitter> => env.SUBMITTER.getByName('operator')
