/** Addresses the protocol itself owns. All exist from genesis; none has a key. @module */
import type { Address } from '#shared/types.ts'

const at = (low: string): Address => `0x${low.padStart(40, '0')}`

/** Calling list: rows of all triggers and their funding. Solidity predeploy. */
export const CALLING_LIST: Address = at('4601')
/** Source sets, feeds and their history rings. Solidity predeploy, history written natively by AttestationTx. */
export const FEED_REGISTRY: Address = at('4602')
/** Node reserve: pays rewards, receives base fees. */
export const NODE_RESERVE: Address = at('4603')
/** COINBASE of every block; its credit is split after the last transaction. */
export const FEE_COLLECTOR: Address = at('4604')
/** Bonded stake of the validators. */
export const STAKING: Address = at('4605')
/** Team allocation, 10 % of the supply. */
export const TEAM_VESTING: Address = at('4606')
/** Foundation allocation for ecological construction. */
export const FOUNDATION: Address = at('4607')
/** Threshold keys: parties, committees, signatures. Solidity predeploy. */
export const KEY_MANAGER: Address = at('4608')
/** Second half of the key manager's code; holds nothing itself. */
export const KEY_CONDUCT: Address = at('4609')
/** Precompile: decodes and checks a trigger description (shared/trigger). Pure. */
export const TRIGGER_DECODER: Address = at('4610')
/** Precompile: headers, draws, child keys and signatures for the key manager and other contracts (shared/dcrm). Pure. */
export const KEY_PRECOMPILE: Address = at('4611')
/** Deterministic-deployment factory that Foundry and others expect. */
export const CREATE2_DEPLOYER: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c'
