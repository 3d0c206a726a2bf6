/**
 * The stock of presignatures and the rule that each is used once. FRESH becomes CONSUMED in one durable write that also removes its secrets;
 * only then may the partial leave. The store is a folder of its own that no backup may contain. Source: docs/dcrm.md, persistence.
 * @module
 */
import type { Vault } from '#node/party/vault.ts'
import { bytesToHex, concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { consume, decodeConsumed, encodeConsumed, resend } from '#shared/dcrm/consumption.ts'
import type { SigningContext, SigningRefusal, SigningTuple } from '#shared/dcrm/ecdsa-sign.ts'
import { signingContext } from '#shared/dcrm/ecdsa-sign.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { decodePresignature, encodePresignature } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { UnixMs } from '#shared/types.ts'

/** Presignatures are worth nothing after this long, ms. */
const LIFETIME_MS = 24 * 3_600_000

/** Remembers, in a store of its own, which use a nonce was for. */
export type NonceGuard = Readonly<{
  /** Durable when it returns: true when the presignature and r′ are for this use from now on, false when one of them was for another. */
  claimNonce: (psid: Uint8Array, r: bigint, use: Uint8Array) => boolean
}>

/** What using a presignature gives: what to send and what to aggregate with. */
export type Use = Readonly<{ partial: Uint8Array; context: SigningContext }>
/** Why it cannot be used. `ALREADY_USED`: for another tuple; `NONCE_REUSED`: its R′ was seen with another message; `UNKNOWN`: not in stock. */
export type UseRefusal = SigningRefusal | 'ALREADY_USED' | 'NONCE_REUSED' | 'UNKNOWN'

const freshName = (psid: Uint8Array): string => `fresh/${bytesToHex(psid)}`
const usedName = (psid: Uint8Array): string => `used/${bytesToHex(psid)}`

export class Presignatures {
  readonly #vault: Vault
  readonly #guard: NonceGuard
  readonly #backend: DcrmBackend
  readonly #nowMs: () => UnixMs

  constructor(vault: Vault, guard: NonceGuard, backend: DcrmBackend, nowMs: () => UnixMs) {
    this.#vault = vault
    this.#guard = guard
    this.#backend = backend
    this.#nowMs = nowMs
  }

  /** Adds confirmed presignatures. */
  add(made: readonly Presignature[]): void {
    const madeAt = new Uint8Array(8)
    new DataView(madeAt.buffer).setBigUint64(0, BigInt(this.#nowMs()))
    this.#vault.write(
      made.map((presignature) => ({ name: freshName(presignature.psid), value: concatBytes(madeAt, encodePresignature(presignature)) })),
    )
  }

  /** FRESH ones of a key, epoch and exact set, in order of their names. */
  stock(keyId: Uint8Array, epoch: number, set: readonly PartyId[] | null): readonly Presignature[] {
    const all = this.#vault.names('fresh/').flatMap((name) => this.#fresh(name) ?? [])
    return all.filter((each) => equalBytes(each.keyId, keyId) && each.epoch === epoch && (set === null || String(each.set) === String(set)))
  }

  /** Null when it is not there or too old; a clock that was set back makes nothing younger. */
  #fresh(name: string): Presignature | null {
    const stored = this.#vault.get(name)
    if (stored === null) return null
    const ageMs = this.#nowMs() - Number(new DataView(stored.buffer, stored.byteOffset).getBigUint64(0))
    return ageMs < 0 || ageMs >= LIFETIME_MS ? null : decodePresignature(stored.slice(8))
  }

  /**
   * Uses a presignature for one tuple. For the tuple it was used for before, the stored partial again; for any other, never.
   * `encodedKey` is the vault key.
   */
  use(psid: Uint8Array, encodedKey: Uint8Array, tuple: SigningTuple): Use | UseRefusal {
    const used = this.#vault.get(usedName(psid))
    if (used !== null) {
      const record = decodeConsumed(used.slice(33), this.#backend.secp256k1.order)
      const partial = record === null ? null : resend(record, tuple)
      const context = signingContext(this.#backend, encodedKey, used.slice(0, 33), psid, tuple)
      if (partial === null || typeof context === 'string') return 'ALREADY_USED'
      return { partial, context }
    }
    const presignature = this.#fresh(freshName(psid))
    if (presignature === null) return 'UNKNOWN'
    const made = consume(this.#backend, encodedKey, presignature, tuple)
    if (typeof made === 'string') return made
    const record = encodeConsumed(made.record)
    if (!this.#guard.claimNonce(psid, made.context.r, hashItems(this.#backend, 'presig/use', record))) return 'NONCE_REUSED'
    this.#vault.write([
      { name: freshName(psid), value: null },
      { name: usedName(psid), value: concatBytes(presignature.nonce, record) },
    ])
    return { partial: made.record.partial, context: made.context }
  }

  /** Destroys what may no longer be used: expired, or doomed for another reason. */
  destroy(isDoomed: (presignature: Presignature) => boolean): number {
    const doomed = this.#vault.names('fresh/').filter((name) => {
      const presignature = this.#fresh(name)
      return presignature === null || isDoomed(presignature)
    })
    if (doomed.length > 0) this.#vault.write(doomed.map((name) => ({ name, value: null })))
    return doomed.length
  }
}
