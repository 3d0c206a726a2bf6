/** Settings of `npm start`. @module */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { DecodeError } from '#shared/fault.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'

export type SupervisorSettings = Readonly<{
  /** Absolute. */
  dataDir: string
  portOffset: number
  chainId: number
  /** Blocks between two proofs of signature of a key, in a new chain. */
  heartbeatBlocks: number
  isFresh: boolean
  withDemo: boolean
  /** Parties in all; those beyond the validators run as processes of their own. */
  parties: number
  /** Where the ready file goes, null for none. */
  readyFile: string | null
}>

const envSchema = z.object({
  FUSION_DATA_DIR: z.string().min(1).default('.fusion'),
  FUSION_PORT_OFFSET: z.coerce.number().int().min(-1000).max(50_000).default(0),
  FUSION_CHAIN_ID: z.coerce.number().int().min(1).max(0xffff_ffff).default(DEVNET_PARAMS.chainId),
  FUSION_HEARTBEAT_BLOCKS: z.coerce.number().int().min(20).max(256).default(DEVNET_PARAMS.heartbeatBlocks),
})

/** One party in each validator. */
const PARTIES = 4
const PARTIES_MAX = 32

/** @throws {DecodeError} SETTING_INVALID */
function partyCount(text: string | undefined): number {
  const count = Number(text ?? PARTIES)
  if (Number.isInteger(count) && count >= PARTIES && count <= PARTIES_MAX) return count
  throw new DecodeError('SETTING_INVALID', '--parties', `expected a number from ${PARTIES} to ${PARTIES_MAX}, got "${text}"`)
}

/** What `npm start -- --help` prints. */
export const SUPERVISOR_HELP = `A whole FUSION network on this machine: four validators, an edge, a foreign chain, data providers and two example contracts.

usage: npm start -- [options]

  --fresh              delete the data folder and begin a new chain
  --no-demo            no data providers, no example contracts
  --parties N          parties that hold keys, one in each validator and the rest on their own [${PARTIES}]
  --ready-file PATH    write URLs, process ids and funded development keys as JSON once the first block is final and the edge answers
  --help               this text

environment
  FUSION_DATA_DIR      everything is written here [.fusion]
  FUSION_PORT_OFFSET   added to every port [0]
  FUSION_CHAIN_ID      chain id of a new chain [${DEVNET_PARAMS.chainId}]
  FUSION_HEARTBEAT_BLOCKS  blocks between two proofs of signature of a key, in a new chain [${DEVNET_PARAMS.heartbeatBlocks}]

Ctrl-C stops everything; the next start goes on with the same chain.
`

/**
 * Reads flags and environment; 'help' when it was asked for.
 * @throws {DecodeError} FLAG_UNKNOWN, SETTING_INVALID
 */
export function readSettings(args: readonly string[], env: Readonly<Record<string, string | undefined>>): SupervisorSettings | 'help' {
  let flags
  try {
    flags = parseArgs({
      args: [...args],
      options: {
        fresh: { type: 'boolean' },
        'no-demo': { type: 'boolean' },
        parties: { type: 'string' },
        'ready-file': { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (cause) {
    throw new DecodeError('FLAG_UNKNOWN', 'argv', cause instanceof Error ? cause.message : String(cause))
  }
  if (flags.help === true) return 'help'
  const parsed = envSchema.safeParse(env)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new DecodeError('SETTING_INVALID', String(issue?.path[0] ?? ''), issue?.message ?? 'invalid')
  }
  return {
    dataDir: resolve(parsed.data.FUSION_DATA_DIR),
    portOffset: parsed.data.FUSION_PORT_OFFSET,
    chainId: parsed.data.FUSION_CHAIN_ID,
    heartbeatBlocks: parsed.data.FUSION_HEARTBEAT_BLOCKS,
    isFresh: flags.fresh === true,
    withDemo: flags['no-demo'] !== true,
    parties: partyCount(flags.parties),
    readyFile: flags['ready-file'] === undefined ? null : resolve(flags['ready-file']),
  }
}
