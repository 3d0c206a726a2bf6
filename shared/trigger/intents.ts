/**
 * Intents: what a trigger's owner signs so that anyone can bring it to the calling list for a declared fee, and nobody can alter it.
 * The contract CallingList hashes the same structs. Every intent carries its owner, `relayFeeWei` paid from the owner's balance to the
 * relayer, the owner's next `nonce` (counting from 0) and a `deadline` in Unix seconds, inclusive. Source: EIP-712.
 * @module
 */
import { CALLING_LIST } from '#shared/system.ts'
import type { ContractDomain, Keccak, MessageOf } from '#shared/oracle/eip712.ts'
import { contractSeparator, structHash, structType, typedDigest } from '#shared/oracle/eip712.ts'
import type { Hash } from '#shared/types.ts'

const OWNER = { name: 'owner', type: 'address' } as const
const ID = { name: 'id', type: 'bytes32' } as const
const DESC_HASH = { name: 'descHash', type: 'bytes32' } as const
const AMOUNT = { name: 'amountWei', type: 'uint256' } as const
const RELAY = [
  { name: 'relayFeeWei', type: 'uint256' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint64' },
] as const

/** Struct types of all intents. `descHash` is keccak-256 of the binary description; `fundWei` and `amountWei` move between balance and entry. */
export const INTENT_TYPES = {
  Register: structType('Register', [OWNER, DESC_HASH, { name: 'fundWei', type: 'uint256' }, ...RELAY]),
  Revise: structType('Revise', [OWNER, ID, DESC_HASH, ...RELAY]),
  Pause: structType('Pause', [OWNER, ID, ...RELAY]),
  Resume: structType('Resume', [OWNER, ID, ...RELAY]),
  Fund: structType('Fund', [OWNER, ID, AMOUNT, ...RELAY]),
  Withdraw: structType('Withdraw', [OWNER, ID, AMOUNT, ...RELAY]),
  Cancel: structType('Cancel', [OWNER, ID, ...RELAY]),
} as const

/** Name of an intent, which is its EIP-712 primary type. */
export type IntentKind = keyof typeof INTENT_TYPES
/** Values of one kind of intent. */
export type IntentMessage<K extends IntentKind> = MessageOf<(typeof INTENT_TYPES)[K]['members']>
/** An intent: its kind and its values. */
export type Intent = { [K in IntentKind]: Readonly<{ kind: K; message: IntentMessage<K> }> }[IntentKind]

/** Domain of every intent on this network. */
export const intentDomain = (chainId: number, genesisHash: Hash): ContractDomain => ({
  name: 'Fusion CallingList',
  version: '1',
  chainId,
  verifyingContract: CALLING_LIST,
  salt: genesisHash,
})

function intentStructHash(intent: Intent, suite: Keccak): Uint8Array {
  switch (intent.kind) {
    case 'Register':
      return structHash(INTENT_TYPES.Register, intent.message, suite)
    case 'Revise':
      return structHash(INTENT_TYPES.Revise, intent.message, suite)
    case 'Pause':
      return structHash(INTENT_TYPES.Pause, intent.message, suite)
    case 'Resume':
      return structHash(INTENT_TYPES.Resume, intent.message, suite)
    case 'Fund':
      return structHash(INTENT_TYPES.Fund, intent.message, suite)
    case 'Withdraw':
      return structHash(INTENT_TYPES.Withdraw, intent.message, suite)
    case 'Cancel':
      return structHash(INTENT_TYPES.Cancel, intent.message, suite)
  }
}

/** The digest an owner signs. */
export function intentDigest(intent: Intent, domain: ContractDomain, suite: Keccak): Uint8Array {
  return typedDigest(contractSeparator(domain, suite), intentStructHash(intent, suite), suite)
}
