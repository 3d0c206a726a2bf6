/** JSON-RPC 2.0 error objects. Codes: JSON-RPC 2.0 section 5.1, EIP-1474; 3 is what Ethereum clients use for reverts. @module */
import { RpcError } from '#shared/api/json-rpc.ts'
import { bytesToBigint, bytesToHex } from '#shared/bytes.ts'

/** The text is not JSON, or nested too deeply. */
export const PARSE_ERROR = -32700
/** JSON, but no request object. */
export const INVALID_REQUEST = -32600
/** No such method, or not over this transport. */
export const METHOD_NOT_FOUND = -32601
/** Parameters do not have the promised form. */
export const INVALID_PARAMS = -32602
/** Our own bug; details go to the log only. */
export const INTERNAL_ERROR = -32603
/** Refused by the node's own rules: pool, missing block, failed execution. */
export const SERVER_ERROR = -32000
/** More than the node does for one caller. */
export const LIMIT_EXCEEDED = -32005
const EXECUTION_REVERTED = 3

/** The parameters are wrong. */
export const invalidParams = (message: string): RpcError => new RpcError(INVALID_PARAMS, message)
/** The node cannot or will not. */
export const serverError = (message: string): RpcError => new RpcError(SERVER_ERROR, message)

const ERROR_SELECTOR = '0x08c379a0'
const PANIC_SELECTOR = '0x4e487b71'
const REASON_BYTES_MAX = 4096

/** Text of `Error(string)` or `Panic(uint256)` return data, null for anything else. Source: Solidity ABI, control structures. */
function revertReason(returnData: Uint8Array): string | null {
  const selector = bytesToHex(returnData.subarray(0, 4))
  if (selector === PANIC_SELECTOR && returnData.length === 36) return `panic 0x${bytesToBigint(returnData.subarray(4)).toString(16)}`
  if (selector !== ERROR_SELECTOR || returnData.length < 68) return null
  const length = bytesToBigint(returnData.subarray(36, 68))
  if (length > BigInt(Math.min(returnData.length - 68, REASON_BYTES_MAX))) return null
  return new TextDecoder().decode(returnData.subarray(68, 68 + Number(length)))
}

/** The answer to a call that did not succeed. Reverts carry their data, so that clients can decode custom errors. */
export function executionError(error: string | null, returnData: Uint8Array): RpcError {
  const isRevert = error === null || /revert/i.test(error)
  if (!isRevert) return serverError(error)
  const reason = revertReason(returnData)
  return new RpcError(EXECUTION_REVERTED, reason === null ? 'execution reverted' : `execution reverted: ${reason}`, bytesToHex(returnData))
}
