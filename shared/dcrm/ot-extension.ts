/**
 * Correlated oblivious transfers from 128 base transfers: the receiver gets rows t_j, the sender rows q_j = t_j ⊕ β_j·Δ. The sender checks a
 * random linear combination of all columns; a receiver that fails it learns a bit of Δ and is shut out for good by the caller.
 * Source: Keller, Orsini, Scholl 2015; Roy 2022 (SoftSpoken, k = 1); docs/dcrm.md, OT extension.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { bitOf, bytesOfWords, transposeColumns, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import { GF_WORDS, linearHash } from '#shared/dcrm/gf128.ts'
import { encodeItems } from '#shared/dcrm/hash.ts'

/** λ: base transfers per direction. */
export const OT_COLUMNS = 128
/** ξ: transfers one extension gives. */
export const OT_ROWS = 416
/** Words of a column: ξ bits and 128 bits that mask the check. */
const COLUMN_WORDS = 17
const COLUMN_BYTES = 4 * COLUMN_WORDS
/** Bytes of a base transfer's key. */
export const OT_KEY_BYTES = 32
/** Bytes of the receiver's random choice string. */
export const OT_CHOICE_BYTES = COLUMN_BYTES

const MATRIX_BYTES = OT_COLUMNS * COLUMN_BYTES
const TAG_BYTES = 4 * GF_WORDS
/** U ‖ x̃ ‖ t̃: 10,768 bytes. */
export const OT_MESSAGE_BYTES = MATRIX_BYTES + TAG_BYTES + OT_COLUMNS * TAG_BYTES

type Hashes = Pick<DcrmBackend, 'sha256' | 'sha512' | 'shake256'>

/** Expands one base key for one extension. Never evaluated twice under one name with different choices. */
function expandColumns(hashes: Hashes, keys: Uint8Array, name: Uint8Array): Uint32Array {
  const columns = new Uint32Array(OT_COLUMNS * COLUMN_WORDS)
  for (let index = 0; index < OT_COLUMNS; index++) {
    const key = keys.subarray(index * OT_KEY_BYTES, (index + 1) * OT_KEY_BYTES)
    const bytes = hashes.shake256(encodeItems('ot/column', [key, name, index]), COLUMN_BYTES)
    columns.set(wordsOf(bytes), index * COLUMN_WORDS)
  }
  return columns
}

/** χ_0 … χ_3 = SHA-512("chi", v, SHA-256(U)), fixed only when U is. */
function checkWeights(hashes: Hashes, name: Uint8Array, matrix: Uint8Array): Uint32Array {
  return wordsOf(hashes.sha512(encodeItems('ot/chi', [name, hashes.sha256(matrix)])))
}

/** What the receiver keeps: its choices and its rows, 416 of 4 words. */
export type OtReceived = Readonly<{ choices: Uint32Array; rows: Uint32Array; message: Uint8Array }>

/**
 * Receiver's step. `name` is v, unique per extension and pair; `choice` has 68 fresh secret bytes, of which the first 416 bits are the choices
 * β_j and the rest masks the check.
 */
export function extendAsReceiver(
  hashes: Hashes,
  keys: Readonly<{ keys0: Uint8Array; keys1: Uint8Array }>,
  name: Uint8Array,
  choice: Uint8Array,
): OtReceived {
  const choices = wordsOf(choice)
  const columns = expandColumns(hashes, keys.keys0, name)
  const others = expandColumns(hashes, keys.keys1, name)
  const matrix = bytesOfWords(columns.map((word, index) => word ^ (others[index] ?? 0) ^ (choices[index % COLUMN_WORDS] ?? 0)))
  const hash = linearHash(checkWeights(hashes, name, matrix))
  const tag = new Uint32Array(GF_WORDS)
  hash(choices, 0, tag)
  const tags = new Uint32Array(OT_COLUMNS * GF_WORDS)
  for (let index = 0; index < OT_COLUMNS; index++)
    hash(columns, index * COLUMN_WORDS, tags.subarray(index * GF_WORDS, (index + 1) * GF_WORDS))
  return {
    choices,
    rows: transposeColumns(columns, OT_COLUMNS, COLUMN_WORDS, OT_ROWS / 32),
    message: concatBytes(matrix, bytesOfWords(tag), bytesOfWords(tags)),
  }
}

/**
 * Sender's step: rows q_j, or null when the check fails. Every column is looked at before the answer, whatever the first ones say: which
 * column failed, and when, would be a bit of Δ.
 */
export function extendAsSender(
  hashes: Hashes,
  secret: Readonly<{ delta: Uint8Array; keys: Uint8Array }>,
  name: Uint8Array,
  message: Uint8Array,
): Uint32Array | null {
  if (message.length !== OT_MESSAGE_BYTES) return null
  const matrix = message.subarray(0, MATRIX_BYTES)
  const received = wordsOf(message)
  const tagAt = MATRIX_BYTES / 4
  const delta = wordsOf(secret.delta)
  const columns = expandColumns(hashes, secret.keys, name)
  for (let index = 0; index < OT_COLUMNS; index++) {
    const mask = -bitOf(delta, index)
    for (let word = 0; word < COLUMN_WORDS; word++) {
      const at = index * COLUMN_WORDS + word
      columns[at] = (columns[at] ?? 0) ^ ((received[at] ?? 0) & mask)
    }
  }
  const hash = linearHash(checkWeights(hashes, name, matrix))
  const own = new Uint32Array(GF_WORDS)
  let difference = 0
  for (let index = 0; index < OT_COLUMNS; index++) {
    hash(columns, index * COLUMN_WORDS, own)
    const mask = -bitOf(delta, index)
    for (let word = 0; word < GF_WORDS; word++) {
      const claimed = received[tagAt + GF_WORDS * (index + 1) + word] ?? 0
      difference |= (own[word] ?? 0) ^ claimed ^ ((received[tagAt + word] ?? 0) & mask)
    }
  }
  return difference === 0 ? transposeColumns(columns, OT_COLUMNS, COLUMN_WORDS, OT_ROWS / 32) : null
}
