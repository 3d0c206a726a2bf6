/** Delegations an EIP-7702 transaction sets before it runs. Source: EIP-7702. @module */
import { fromHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import type { Authorization, UserTransaction } from '#shared/chain/user-transaction.ts'
import { bigintToBytes, concatBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Address } from '#shared/types.ts'

const MAGIC = Uint8Array.of(0x05)
const DESIGNATOR = Uint8Array.of(0xef, 0x01, 0x00)
const NONCE_MAX = 2n ** 64n - 1n
const HALF_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n / 2n
const ZERO_ADDRESS: Address = `0x${'00'.repeat(20)}`
/** What an authority that already exists gives back: PER_EMPTY_ACCOUNT_COST − PER_AUTH_BASE_COST. */
const EXISTING_ACCOUNT_REFUND = 12_500n

/** Whether code is a delegation designator. */
export function isDelegation(code: Uint8Array): boolean {
  return code.length === 23 && DESIGNATOR.every((byte, index) => code[index] === byte)
}

function authorityOf(crypto: CryptoSuite, authorization: Authorization): Address | null {
  const { chainId, address, nonce, yParity, r, s } = authorization
  if (yParity > 1n || s > HALF_ORDER || nonce >= NONCE_MAX) return null
  const digest = crypto.keccak256(concatBytes(MAGIC, encodeRlp([chainId, address, nonce])))
  return crypto.recoverAddress(digest, bigintToBytes(r, 32), bigintToBytes(s, 32), yParity === 1n ? 1 : 0)
}

function applyOne(machine: Machine, chainId: bigint, authorization: Authorization): bigint {
  const { state, evm, crypto } = machine
  if (authorization.chainId !== 0n && authorization.chainId !== chainId) return 0n
  const authority = authorityOf(crypto, authorization)
  if (authority === null) return 0n
  evm.journal.addAlwaysWarmAddress(authority)
  const code = state.code(authority)
  if (code.length > 0 && !isDelegation(code)) return 0n
  const account = state.account(authority)
  if ((account?.nonce ?? 0n) !== authorization.nonce) return 0n
  state.setCode(
    authority,
    authorization.address === ZERO_ADDRESS ? new Uint8Array(0) : concatBytes(DESIGNATOR, fromHex(authorization.address)),
  )
  state.increaseNonce(authority)
  return account === null ? 0n : EXISTING_ACCOUNT_REFUND
}

/** Sets every valid delegation in order; invalid ones are passed over. Returns the gas refund. */
export function applyAuthorizations(machine: Machine, chainId: bigint, tx: UserTransaction): bigint {
  let refund = 0n
  for (const authorization of tx.authorizations) refund += applyOne(machine, chainId, authorization)
  return refund
}
