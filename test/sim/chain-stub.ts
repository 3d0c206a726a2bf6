/** Genesis, validators and the trivial executor of the simulator: roots are a hash of the execution input. @module */
import { hash } from 'node:crypto'
import { bigintToBytes, bytesToHex } from '#shared/bytes.ts'
import { genesisRandomness } from '#shared/hhcm/randomness.ts'
import { EMPTY_TX_ROOT } from '#shared/hhcm/signing.ts'
import type { ExecutionInput, ExecutionRoots, Header, HhcmConfig, Validator } from '#shared/hhcm/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

const ZERO: Hash = `0x${'00'.repeat(32)}`
const sha256 = (text: string): Hash => `0x${hash('sha256', text)}`

/** n validators of equal stake, sorted by address. */
export function simValidators(count: number): Validator[] {
  return Array.from({ length: count }, (_, index) => ({
    address: bytesToHex(bigintToBytes(BigInt(index + 1), 20)),
    consensusKey: sha256(`key ${index}`),
    stakeWei: 1000n,
  }))
}

/** Configuration of one simulated chain. */
export function simConfig(validators: readonly Validator[], laneCount: number, idleSlots: number, self: Address | null): HhcmConfig {
  return {
    chainId: 1,
    genesisHash: sha256('genesis'),
    genesisTimeMs: 0,
    slotMs: 1500,
    laneCount,
    powTries: 8,
    idleSlots,
    validators,
    self,
  }
}

/** Block 0 of every simulated chain. */
export function simGenesis(config: HhcmConfig): Readonly<{ hash: Hash; header: Header }> {
  const randomness = genesisRandomness(config.genesisHash, (data) => new Uint8Array(hash('sha256', data, 'buffer')))
  const header: Header = {
    ...emptyRoots(),
    number: 0,
    slot: 0,
    parentHash: config.genesisHash,
    author: `0x${'00'.repeat(20)}`,
    lane: 0,
    rank: 0,
    vrfProof: `0x${'00'.repeat(80)}`,
    ticketNonce: 0,
    randomness,
    packagesRoot: ZERO,
    votesRoot: ZERO,
    signature: `0x${'00'.repeat(64)}`,
  }
  return { hash: sha256('block 0'), header }
}

function emptyRoots(): ExecutionRoots {
  return {
    txRoot: EMPTY_TX_ROOT,
    receiptsRoot: ZERO,
    stateRoot: ZERO,
    logsBloom: BLOOM,
    gasUsed: 0n,
    gasLimit: 1n,
    baseFeeWei: 1n,
    triggerGasUsed: 0n,
    triggerBaseFeeWei: 1n,
  }
}
const BLOOM: Hex = `0x${'00'.repeat(256)}`

/** Roots of a block: a pure function of parent and content. */
export function simExecute(input: ExecutionInput): ExecutionRoots {
  const content = input.packages.map((body) => body?.hash ?? '-').join()
  const root = sha256(`${input.parentHash}${input.slot}${input.author}${content}${input.voters.join()}${input.coSigners.flat().join()}`)
  const isEmpty = input.packages.every((body) => body === null || body.txs.length === 0)
  return { ...emptyRoots(), stateRoot: root, txRoot: isEmpty ? EMPTY_TX_ROOT : root }
}
