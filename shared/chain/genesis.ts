/**
 * The document a network starts from, its identity, and how the whole supply is placed in block 0.
 * Every signature of the network binds `genesisHash`, and a fresh salt gives a fresh network.
 * Source: whitepaper 6.3.2 (supply and its thirds); docs/protocol.md.
 * @module
 */
import { bytesToHex, compareHex, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { EMPTY_BLOOM } from '#shared/chain/receipt.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import { genesisRandomness } from '#shared/hhcm/randomness.ts'
import { blockHash, EMPTY_TX_ROOT, packagesRoot, votesRoot } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Validator } from '#shared/hhcm/types.ts'
import { SUPPLY_WEI } from '#shared/params.ts'
import type { ChainParams } from '#shared/params.ts'
import { FOUNDATION, KEY_MANAGER, NODE_RESERVE, STAKING, TEAM_VESTING } from '#shared/system.ts'
import type { Address, Hash, UnixMs, Wei } from '#shared/types.ts'

export type Allocation = Readonly<{ address: Address; balanceWei: Wei }>

/** Everything a network's identity depends on. */
export type GenesisDocument = Readonly<{
  params: ChainParams
  genesisTimeMs: UnixMs
  /** 32 random bytes. */
  salt: Hash
  /** Sorted by address, distinct. */
  validators: readonly Validator[]
  /** Accounts and system contracts funded from the start, out of the foundation's part. Sorted by address, distinct. */
  alloc: readonly Allocation[]
}>

const TAG = utf8ToBytes('fusion-genesis-document')
const TEAM_PARTS = 10n
const RESERVE_PARTS = 3n

function checkSorted(addresses: readonly Address[], path: string): void {
  for (const [index, address] of addresses.entries()) {
    const before = addresses[index - 1]
    if (before !== undefined && compareHex(before, address) >= 0)
      throw new DecodeError('GENESIS_ORDER', `${path}[${index}]`, 'expected addresses in rising order without repetition')
  }
}

/** Canonical encoding of the document. @throws {DecodeError} GENESIS_ORDER */
export function encodeGenesis(document: GenesisDocument): Uint8Array {
  const { params, genesisTimeMs, salt, validators, alloc } = document
  checkSorted(
    validators.map(({ address }) => address),
    'validators',
  )
  checkSorted(
    alloc.map(({ address }) => address),
    'alloc',
  )
  return encodeRlp([
    TAG,
    [
      params.chainId,
      params.slotMs,
      params.laneCount,
      params.powTries,
      params.blockGasLimit,
      params.blockCallLimit,
      params.initialBaseFeeWei,
      params.idleSlots,
      params.heartbeatBlocks,
      params.emissionRate,
    ],
    genesisTimeMs,
    hexToBytes(salt),
    validators.map(({ address, consensusKey, stakeWei }) => [address, consensusKey, stakeWei]),
    alloc.map(({ address, balanceWei }) => [address, balanceWei]),
  ])
}

/** Identity of the network: keccak-256 of the canonical document. @throws {DecodeError} GENESIS_ORDER */
export function genesisHash(document: GenesisDocument, keccak256: CryptoSuite['keccak256']): Hash {
  return bytesToHex(keccak256(encodeGenesis(document)))
}

/**
 * Where the supply is in block 0: a tenth to the team, a third to the reserve that pays the nodes, the bonded stake, what the document
 * allocates, and all the rest to the foundation. What the key manager gets pays nodes for custody, so it comes out of their reserve. The sum is
 * the supply, exactly.
 * @throws {DecodeError} GENESIS_OVERSPENT when stake and allocations exceed the foundation's part, or custody the reserve
 */
export function genesisBalances(document: GenesisDocument): ReadonlyMap<Address, Wei> {
  const teamWei = SUPPLY_WEI / TEAM_PARTS
  const reserveWei = SUPPLY_WEI / RESERVE_PARTS
  const stakedWei = document.validators.reduce((sum, { stakeWei }) => sum + stakeWei, 0n)
  const allocatedWei = document.alloc.reduce((sum, { balanceWei }) => sum + balanceWei, 0n)
  const custodyWei = document.alloc.reduce((sum, { address, balanceWei }) => (address === KEY_MANAGER ? sum + balanceWei : sum), 0n)
  if (custodyWei > reserveWei)
    throw new DecodeError('GENESIS_OVERSPENT', 'alloc', `custody exceeds the reserve by ${custodyWei - reserveWei} wei`)
  const foundationWei = SUPPLY_WEI - teamWei - reserveWei - stakedWei - (allocatedWei - custodyWei)
  if (foundationWei < 0n)
    throw new DecodeError('GENESIS_OVERSPENT', 'alloc', `stake and allocations exceed the foundation's part by ${-foundationWei} wei`)
  const balances = new Map<Address, Wei>()
  const credit = (address: Address, amountWei: Wei): unknown => balances.set(address, (balances.get(address) ?? 0n) + amountWei)
  credit(TEAM_VESTING, teamWei)
  credit(NODE_RESERVE, reserveWei - custodyWei)
  credit(STAKING, stakedWei)
  credit(FOUNDATION, foundationWei)
  for (const { address, balanceWei } of document.alloc) credit(address, balanceWei)
  return balances
}

/** Block 0 of the network over this state. Its parent is the genesis hash; nobody signs it. */
export function genesisBlock(document: GenesisDocument, stateRoot: Hash, suite: Pick<CryptoSuite, 'keccak256' | 'sha256'>): BlockEnvelope {
  const { params } = document
  const identity = genesisHash(document, suite.keccak256)
  const certificates = Array.from({ length: params.laneCount }, () => null)
  const unsigned = {
    number: 0,
    slot: 0,
    parentHash: identity,
    author: `0x${'00'.repeat(20)}`,
    lane: 0,
    rank: 0,
    vrfProof: `0x${'00'.repeat(80)}`,
    ticketNonce: 0,
    randomness: genesisRandomness(identity, suite.sha256),
    packagesRoot: packagesRoot(certificates, suite.keccak256),
    votesRoot: votesRoot([], suite.keccak256),
    txRoot: EMPTY_TX_ROOT,
    receiptsRoot: EMPTY_TX_ROOT,
    stateRoot,
    logsBloom: EMPTY_BLOOM,
    gasUsed: 0n,
    gasLimit: params.blockGasLimit,
    baseFeeWei: params.initialBaseFeeWei,
    triggerGasUsed: 0n,
    triggerBaseFeeWei: params.initialBaseFeeWei,
  } as const
  return { hash: blockHash(unsigned, suite.keccak256), header: { ...unsigned, signature: `0x${'00'.repeat(64)}` }, certificates, votes: [] }
}
