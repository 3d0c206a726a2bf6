/** Creates and loads the genesis document and the validators' keys of a development network. @module */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { decodeGenesisJson, genesisToJson } from '#shared/chain/genesis-json.ts'
import { genesisHash } from '#shared/chain/genesis.ts'
import type { Allocation, GenesisDocument } from '#shared/chain/genesis.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import type { ChainParams } from '#shared/params.ts'
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import { FEED_REGISTRY, KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, UnixMs, Wei } from '#shared/types.ts'
import type { Predeploy } from '#node/evm/genesis.ts'
import { devnetSets, fundingOf } from '#node/evm/native/devnet-sets.ts'
import { predeploys } from '#node/evm/native/predeploys.ts'
import type { ValidatorKeys } from '#node/keys.ts'
import { createKeys, readKeys, writeKeys } from '#node/keys.ts'
import { OPERATOR_INDEX, OWNER_INDEX, PROVIDER_INDEXES, devAccount } from '#node/supervisor/accounts.ts'
import { validatorDir } from '#node/supervisor/parts.ts'
import { initialiseWal, WRITE_AHEAD_FILE } from '#node/wal.ts'

const FSN = 10n ** 18n
/** Bonded stake of each validator, and what its operator may spend. */
const STAKE_WEI: Wei = 100_000n * FSN
const OPERATOR_WEI: Wei = 100n * FSN
const ACCOUNT_WEI: Wei = 100_000n * FSN
/** What the key manager may pay for custody. */
const CUSTODY_WEI: Wei = 10_000n * FSN
/** Accounts 0 to 9 are for people; operator and providers follow. */
const PEOPLE = 10

export type DevnetGenesis = Readonly<{
  document: GenesisDocument
  chainId: number
  genesisHash: Hash
  genesisTimeMs: UnixMs
  slotMs: number
  /** In order of the validators' folders, which is the order of their addresses. */
  validators: readonly Readonly<{ address: Address }>[]
}>

/** What whoever makes a development network may choose of its parameters. */
export type DevnetChoices = Pick<ChainParams, 'chainId'> & Partial<Pick<ChainParams, 'heartbeatBlocks'>>

/** Reads a genesis document. @throws {DecodeError} GENESIS_UNREADABLE, GENESIS_INVALID */
export function readGenesis(path: string): GenesisDocument {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new DecodeError('GENESIS_UNREADABLE', path, cause instanceof Error ? cause.message : String(cause))
  }
  return decodeGenesisJson(json)
}

/** Source sets of a development network. */
const sourceSets = (): readonly SourceSetSpec[] =>
  devnetSets({
    owner: devAccount(OWNER_INDEX).address,
    providers: PROVIDER_INDEXES.map((index) => devAccount(index).address),
    edge: devAccount(OPERATOR_INDEX).address,
  })

/** Contracts of block 0. The development sets are there exactly when the document gives the registry their funding. */
export function genesisPredeploys(document: GenesisDocument, suite: CryptoSuite): ReadonlyMap<Address, Predeploy> {
  const sets = sourceSets()
  const registryWei = document.alloc.find(({ address }) => address === FEED_REGISTRY)?.balanceWei ?? 0n
  return predeploys(genesisHash(document, suite.keccak256), registryWei === fundingOf(sets) ? sets : [], suite, {
    heartbeatBlocks: document.params.heartbeatBlocks,
    validators: document.validators.map(({ address }) => address),
  })
}

function allocations(validators: readonly ValidatorKeys[]): Allocation[] {
  const indexes = [...Array.from({ length: PEOPLE }, (_, index) => index), OPERATOR_INDEX, ...PROVIDER_INDEXES]
  const people = indexes.map((index) => ({ address: devAccount(index).address, balanceWei: ACCOUNT_WEI }))
  const operators = validators.map(({ address }) => ({ address, balanceWei: OPERATOR_WEI }))
  const contracts = [
    { address: FEED_REGISTRY, balanceWei: fundingOf(sourceSets()) },
    { address: KEY_MANAGER, balanceWei: CUSTODY_WEI },
  ]
  return [...people, ...operators, ...contracts].toSorted((left, right) => compareHex(left.address, right.address))
}

/** A document with a fresh salt, starting now. */
export function createDevnetDocument(validators: readonly ValidatorKeys[], choices: DevnetChoices, nowMs: UnixMs): GenesisDocument {
  const { chainId, heartbeatBlocks = DEVNET_PARAMS.heartbeatBlocks } = choices
  return {
    params: { ...DEVNET_PARAMS, chainId, heartbeatBlocks },
    genesisTimeMs: nowMs,
    salt: bytesToHex(randomBytes(32)),
    validators: validators
      .map(({ address, consensusKey }) => ({ address, consensusKey, stakeWei: STAKE_WEI }))
      .toSorted((left, right) => compareHex(left.address, right.address)),
    alloc: allocations(validators),
  }
}

function createDevnet(dataDir: string, choices: DevnetChoices, validatorCount: number): GenesisDocument {
  const keys = Array.from({ length: validatorCount }, createKeys).toSorted((left, right) => compareHex(left.address, right.address))
  for (const [index, own] of keys.entries()) {
    const folder = validatorDir(dataDir, index)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, 'keys')
    // Left by a creation that was interrupted before the document was written: nobody has used it.
    if (existsSync(path)) renameSync(path, `${path}.unused-${Date.now()}`)
    writeKeys(path, own)
    initialiseWal(join(folder, WRITE_AHEAD_FILE))
  }
  const document = createDevnetDocument(keys, choices, Date.now())
  const path = join(dataDir, 'genesis.json')
  writeFileSync(`${path}.new`, `${JSON.stringify(genesisToJson(document), null, 2)}\n`)
  renameSync(`${path}.new`, path)
  return document
}

/**
 * The network of a data folder, made when there is none.
 * @throws {DecodeError} GENESIS_CHAIN_ID when the folder holds another chain id, GENESIS_KEYS when a validator's key is missing
 */
export function loadOrCreateDevnet(dataDir: string, choices: DevnetChoices, validatorCount: number): DevnetGenesis {
  const { chainId } = choices
  const path = join(dataDir, 'genesis.json')
  const document = existsSync(path) ? readGenesis(path) : createDevnet(dataDir, choices, validatorCount)
  const { params, genesisTimeMs } = document
  if (params.chainId !== chainId)
    throw new DecodeError(
      'GENESIS_CHAIN_ID',
      path,
      `the folder holds chain ${params.chainId}, asked for ${chainId}; use --fresh or another folder`,
    )
  const validators = Array.from({ length: validatorCount }, (_, index) => {
    const keys = readKeys(join(validatorDir(dataDir, index), 'keys'))
    if (keys === null)
      throw new DecodeError('GENESIS_KEYS', validatorDir(dataDir, index), 'the key file is missing; use --fresh or restore it')
    return { address: keys.address }
  })
  return { document, chainId, genesisHash: genesisHash(document, nobleSuite.keccak256), genesisTimeMs, slotMs: params.slotMs, validators }
}
