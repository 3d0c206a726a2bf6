/**
 * The stock of presignatures and the rule that each is used once. FRESH becomes CONSUMED in one durable write that also overwrites its secrets;
 * only then may the partial leave. The store is a folder of its own that no backup may contain. Source: docs/dcrm.md, persistence.
 * @module
 */
import type { Vault } from '#node/party/vault.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { consume, decodeConsumed, encodeConsumed, resend } from '#shared/dcrm/consumption.ts'
import type { SigningContext, SigningRefusal, SigningTuple } from '#shared/dcrm/ecdsa-sign.ts'
import { signingContext } from '#shared/dcrm/ecdsa-sign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { decodePresignature, encodePresignature } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Presignatures are worth nothing after this long, ms. */
const LIFETIME_MS = 24 * 3_600_000

/** What using a presignature gives: what to send and what to aggregate with. */
export type Use = Readonly<{ partial: Uint8Array; context: SigningContext }>
/** Why it cannot be used. `ALREADY_USED`: for another tuple; `NONCE_REUSED`: its R′ was seen with another message; `UNKNOWN`: not in stock. */
export type UseRefusal = SigningRefusal | 'ALREADY_USED' | 'NONCE_REUSED' | 'UNKNOWN'

const freshName = (psid: Uint8Array): string => `fresh/${bytesToHex(psid)}`
const usedName = (psid: Uint8Array): string => `used/${bytesToHex(psid)}`

export class Presignatures {
  readonly #vault: Vault
  readonly #backend: DcrmBackend

  constructor(vault: Vault, backend: DcrmBackend) {
    this.#vault = vault
    this.#backend = backend
  }

  /** Adds confirmed presignatures. */
  add(made: readonly Presignature[], nowMs: number): void {
    const until = new Uint8Array(8)
    new DataView(until.buffer).setBigUint64(0, BigInt(nowMs + LIFETIME_MS))
    this.#vault.write(
      made.map((presignature) => ({
        name: freshName(presignature.psid),
        value: Uint8Array.of(...until, ...encodePresignature(presignature)),
      })),
    )
  }

  /** FRESH ones of a key, epoch and exact set, in order of their names. */
  stock(keyId: Uint8Array, epoch: number, set: readonly PartyId[] | null): readonly Presignature[] {
    return this.#all().filter(
      (each) => bytesToHex(each.keyId) === bytesToHex(keyId) && each.epoch === epoch && (set === null || String(each.set) === String(set)),
    )
  }

  #all(): readonly Presignature[] {
    return this.#vault.names('fresh/').flatMap((name) => {
      const stored = this.#vault.get(name)
      const presignature = stored === null ? null : decodePresignature(stored.slice(8))
      return presignature === null ? [] : [presignature]
    })
  }

  /**
   * Uses a presignature for one tuple. For the tuple it was used for before, the stored partial again; for any other, never.
   * `encodedKey` is the vault key.
   */
  use(psid: Uint8Array, encodedKey: Uint8Array, tuple: SigningTuple): Use | UseRefusal {
    const { order } = this.#backend.secp256k1
    const used = this.#vault.get(usedName(psid))
    if (used !== null) {
      const record = decodeConsumed(used.slice(33), order)
      const partial = record === null ? null : resend(record, tuple)
      const context = signingContext(this.#backend, encodedKey, used.slice(0, 33), psid, tuple)
      if (partial === null || typeof context === 'string') return 'ALREADY_USED'
      return { partial, context }
    }
    const stored = this.#vault.get(freshName(psid))
    const presignature = stored === null ? null : decodePresignature(stored.slice(8))
    if (presignature === null) return 'UNKNOWN'
    const made = consume(this.#backend, encodedKey, presignature, tuple)
    if (typeof made === 'string') return made
    const nonceName = `nonce/${made.context.r.toString(16)}`
    if (this.#vault.get(nonceName) !== null) return 'NONCE_REUSED'
    this.#vault.write([
      { name: freshName(psid), value: null },
      { name: usedName(psid), value: Uint8Array.of(...presignature.nonce, ...encodeConsumed(made.record)) },
      { name: nonceName, value: tuple.digest },
    ])
    return { partial: made.record.partial, context: made.context }
  }

  /** Destroys what may no longer be used: expired, or with a signer that is out. */
  destroy(isDoomed: (presignature: Presignature) => boolean, nowMs: number): number {
    const doomed = this.#vault.names('fresh/').filter((name) => {
      const stored = this.#vault.get(name)
      const presignature = stored === null ? null : decodePresignature(stored.slice(8))
      if (stored === null || presignature === null) return true
      return new DataView(stored.slice(0, 8).buffer).getBigUint64(0) <= BigInt(nowMs) || isDoomed(presignature)
    })
    if (doomed.length > 0) this.#vault.write(doomed.map((name) => ({ name, value: null })))
    return doomed.length
  }
}
