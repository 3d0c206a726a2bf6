/** Signing keys of registered parties as the chain has them: a registered key never changes, so only unknown parties are asked for. @module */
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { hexToBytes } from '#shared/bytes.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import { ethCall } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'
import { decodeFunctionResult, encodeFunctionData } from 'viem'

/** An unknown sender makes the list be read again at most this often. */
const REREAD_MS = 3000
/** More than the contract registers. */
const PARTIES_MAX = 200

/** Keys by party. */
export class PartyKeys {
  readonly #env: Env
  #keys: ReadonlyMap<PartyId, Uint8Array> = new Map()
  #readAtMs = 0
  /** All that wait share one read: parties come to a new session at once. */
  #reading: Promise<void> | null = null

  constructor(env: Env) {
    this.#env = env
  }

  /** Key of a party, null when it is not registered. @throws {RpcError} @throws {ChainUnreachableError} */
  async of(party: PartyId): Promise<Uint8Array | null> {
    if (!this.#keys.has(party) && (this.#reading !== null || Date.now() - this.#readAtMs >= REREAD_MS)) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = null
      })
      await this.#reading
    }
    return this.#keys.get(party) ?? null
  }

  async #read(): Promise<void> {
    const data = encodeFunctionData({ abi: keyManagerAbi, functionName: 'parties', args: [0, PARTIES_MAX] })
    const answer = await ethCall(this.#env, { to: KEY_MANAGER, data })
    const rows = decodeFunctionResult({ abi: keyManagerAbi, functionName: 'parties', data: answer })
    this.#keys = new Map(rows.map(({ id, signKey }) => [id, hexToBytes(signKey)]))
    this.#readAtMs = Date.now()
  }
}
