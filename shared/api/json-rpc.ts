/** The error object of JSON-RPC, as servers throw it and clients receive it. Source: JSON-RPC 2.0, section 5.1. @module */

/** An answer that is an error: the request is wrong, or the chain refuses it. `data` carries return data of a reverted call. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}
