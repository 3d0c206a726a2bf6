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
/** Rows of one call: those who left stay in the list until they take their bond. */
const PAGE = 100

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
    const keys = new Map<PartyId, Uint8Array>()
    for (let after: PartyId | undefined = 0; after !== undefined;) {
      const rows = await this.#pageAfter(after)
      for (const { id, signKey } of rows) keys.set(id, hexToBytes(signKey))
      after = rows.length < PAGE ? undefined : rows.at(-1)?.id
    }
    this.#keys = keys
    this.#readAtMs = Date.now()
  }

  async #pageAfter(after: PartyId) {
    const data = encodeFunctionData({ abi: keyManagerAbi, functionName: 'parties', args: [after, PAGE] })
    const answer = await ethCall(this.#env, { to: KEY_MANAGER, data })
    return decodeFunctionResult({ abi: keyManagerAbi, functionName: 'parties', data: answer })
  }
}
