/** JSON of the genesis document, as it lies in a data directory. Amounts are decimal strings in wei. @module */
import type { GenesisDocument } from '#shared/chain/genesis.ts'
import { ATTEMPT_BLOCKS } from '#shared/dcrm/digest.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'
import * as z from 'zod'

const hexOf = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`))
    .transform((text) => text as Hex)
const wei = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,39})$/)
  .transform(BigInt)
/** Earlier blocks whose hash a contract can ask for. */
const BLOCK_HASHES = 256
const count = (max: number) => z.int().min(1).max(max)

const documentSchema = z.strictObject({
  params: z.strictObject({
    chainId: count(2 ** 31 - 1),
    slotMs: count(3_600_000),
    laneCount: count(16),
    powTries: count(2 ** 24),
    blockGasLimit: wei,
    blockCallLimit: count(2 ** 31 - 1),
    initialBaseFeeWei: wei,
    idleSlots: count(1_000_000),
    heartbeatBlocks: z.int().min(ATTEMPT_BLOCKS).max(BLOCK_HASHES),
    emissionRate: wei,
  }),
  genesisTimeMs: z.int().min(0),
  salt: hexOf(32),
  validators: z.array(z.strictObject({ address: hexOf(20), consensusKey: hexOf(32), stakeWei: wei })).min(1),
  alloc: z.array(z.strictObject({ address: hexOf(20), balanceWei: wei })),
})

/** Reads a parsed JSON value. Order of the lists is checked where the document is hashed. @throws {DecodeError} GENESIS_INVALID */
export function decodeGenesisJson(json: unknown): GenesisDocument {
  const parsed = documentSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new DecodeError('GENESIS_INVALID', issue?.path.join('.') ?? '', issue?.message ?? 'not a genesis document')
}

/** The value `decodeGenesisJson` reads back. */
export function genesisToJson(document: GenesisDocument): unknown {
  const { params, genesisTimeMs, salt, validators, alloc } = document
  return {
    params: {
      ...params,
      blockGasLimit: String(params.blockGasLimit),
      initialBaseFeeWei: String(params.initialBaseFeeWei),
      emissionRate: String(params.emissionRate),
    },
    genesisTimeMs,
    salt,
    validators: validators.map((validator) => ({ ...validator, stakeWei: String(validator.stakeWei) })),
    alloc: alloc.map(({ address, balanceWei }) => ({ address, balanceWei: String(balanceWei) })),
  }
}
