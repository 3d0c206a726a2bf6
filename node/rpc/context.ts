/** What JSON-RPC methods work with, and how a method is declared. @module */
import type { Chain } from '#node/chain.ts'
import type { EvmCaller } from '#node/chain-reader.ts'
import type { Pool } from '#node/pool/pool.ts'
import type { HeadFeed } from '#node/rpc/head-feed.ts'
import type { NativeReads } from '#node/rpc/native-reads.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Header, HhcmConfig } from '#shared/hhcm/types.ts'
import type { ChainParams } from '#shared/params.ts'
import type { Wei } from '#shared/types.ts'
import { invalidParams } from '#node/rpc/rpc-error.ts'
import type * as z from 'zod'

/** Everything a method may use; one per node. */
export type RpcContext = Readonly<{
  chain: Chain
  pool: Pool
  evm: EvmCaller
  native: NativeReads
  crypto: CryptoSuite
  config: HhcmConfig
  params: ChainParams
  /** Base fee of a block on this parent. */
  nextBaseFeeWei: (parent: Header) => Wei
  /** Answer to web3_clientVersion, like `fusion/v0.1.0/linux-x64/node24`. */
  clientVersion: string
  peerCount: () => number
  feed: HeadFeed
}>

/** One WebSocket connection; HTTP requests have none. */
export type Session = Readonly<{
  /** Registers the unsubscriber of a new subscription under its id. */
  open: (id: string, stop: () => void) => void
  /** False when the id is not open here. */
  closeSubscription: (id: string) => boolean
  subscriptionCount: () => number
  notify: (subscription: string, result: unknown) => void
}>

/** Takes raw positional parameters; the result is JSON. @throws {RpcError} an answer that is an error */
export type Method = (params: readonly unknown[], context: RpcContext, session: Session | null) => unknown

/** Path and message of the first problem zod found, as one line. */
function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues
  if (issue === undefined) return 'invalid params'
  const [index, ...rest] = issue.path
  const place = index === undefined ? '' : `argument ${String(index)}${rest.length === 0 ? '' : ` (${rest.join('.')})`}: `
  return `invalid ${place}${issue.message}`
}

/** A method whose positional parameters match `schema`, a tuple. */
export function method<Schema extends z.ZodType<readonly unknown[]>>(
  schema: Schema,
  run: (params: z.output<Schema>, context: RpcContext, session: Session | null) => unknown,
): Method {
  return (params, context, session) => {
    const parsed = schema.safeParse(params)
    if (!parsed.success) throw invalidParams(firstIssue(parsed.error))
    return run(parsed.data, context, session)
  }
}

/** Methods by their JSON-RPC names. */
export type MethodTable = Readonly<Record<string, Method>>
