/** Signing keys of registered parties as the chain has them: kept for a while, asked again when a sender is unknown. @module */
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { hexToBytes } from '#shared/bytes.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Hex } from '#shared/types.ts'
import { call } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'
import * as z from 'zod'
import { decodeFunctionResult, encodeFunctionData } from 'viem'

const zHexData = z.string().regex(/^0x[0-9a-f]*$/)
/** An unknown sender makes the list be read again at most this often. */
const REREAD_MS = 3000
const PARTIES_MAX = 200

/** Keys by party. */
export class PartyKeys {
  readonly #env: Env
  #keys: ReadonlyMap<PartyId, Uint8Array> = new Map()
  #readAtMs = 0

  constructor(env: Env) {
    this.#env = env
  }

  /** Key of a party, null when it is not registered. */
  async of(party: PartyId): Promise<Uint8Array | null> {
    const known = this.#keys.get(party)
    if (known !== undefined) return known
    if (Date.now() - this.#readAtMs < REREAD_MS) return null
    this.#readAtMs = Date.now()
    const data = encodeFunctionData({ abi: keyManagerAbi, functionName: 'parties', args: [0, PARTIES_MAX] })
    const answer = await call(this.#env, zHexData, 'eth_call', [{ to: KEY_MANAGER, data }, 'latest'])
    const rows = decodeFunctionResult({ abi: keyManagerAbi, functionName: 'parties', data: answer as Hex })
    this.#keys = new Map(rows.map(({ id, signKey }) => [id, hexToBytes(signKey)]))
    return this.#keys.get(party) ?? null
  }
}
