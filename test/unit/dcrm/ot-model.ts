/**
 * Plain models of the transfer extension and of VOLE: bit strings are integers, bit k of a string is bit k of the integer, field elements are
 * polynomials. Written from the formulas of docs/dcrm.md, slow, sharing nothing with the code under test but the encoding that is hashed.
 * @module
 */
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { encodeItems, hashItems, hashToScalar, uintBytes } from '#shared/dcrm/hash.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import type { VoleContext } from '#shared/dcrm/vole.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const COLUMNS = 128
const ROWS = 416
const COLUMN_BYTES = 68
const POLYNOMIAL = (1n << 128n) | 0x87n
const low = (bits: bigint, count: bigint): bigint => bits & ((1n << count) - 1n)
const range = (length: number): readonly number[] => Array.from({ length }, (_, index) => index)

export const bitsOf = (bytes: Uint8Array): bigint => bytes.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
export const bytesOf = (bits: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => Number((bits >> BigInt(8 * index)) & 255n))
export const bitAt = (bits: bigint, index: number): 0 | 1 => Number((bits >> BigInt(index)) & 1n) as 0 | 1

/** Long multiplication of polynomials, then long division. */
export function multiplyModel(left: bigint, right: bigint): bigint {
  let product = 0n
  for (let power = 0n; power < 128n; power++) if ((right >> power) & 1n) product ^= left << power
  for (let power = 254n; power >= 128n; power--) if ((product >> power) & 1n) product ^= POLYNOMIAL << (power - 128n)
  return product
}

/** Σ χ_k·y_k + y_m. */
export function linearHashModel(weights: readonly bigint[], bits: bigint): bigint {
  const blocks = [low(bits, 128n), low(bits >> 128n, 128n), low(bits >> 256n, 128n), low(bits >> 384n, 32n)]
  return blocks.reduce((sum, block, index) => sum ^ multiplyModel(weights[index] ?? 0n, block), bits >> 416n)
}

const expand = (hashes: DcrmBackend, keys: Uint8Array, name: Uint8Array, index: number): bigint =>
  bitsOf(hashes.shake256(encodeItems('ot/column', [keys.slice(32 * index, 32 * index + 32), name, index]), COLUMN_BYTES))

/** Rows of 16 bytes from columns of bits. */
const rowsOf = (columns: readonly bigint[]): readonly Uint8Array[] =>
  range(ROWS).map((row) =>
    bytesOf(
      columns.reduce((bits, column, index) => bits | (BigInt(bitAt(column, row)) << BigInt(index)), 0n),
      16,
    ),
  )

/** The receiver's side. `lie` is what it adds to its choices in one column before it goes on as if nothing had happened. */
export function receiverModel(
  hashes: DcrmBackend,
  pair: Pick<PairState, 'asReceiver'>,
  name: Uint8Array,
  choice: Uint8Array,
  lie: (column: number) => bigint = () => 0n,
): Readonly<{ rows: readonly Uint8Array[]; message: Uint8Array }> {
  const { keys0, keys1 } = pair.asReceiver
  const columns = range(COLUMNS).map((index) => expand(hashes, keys0, name, index))
  const sent = columns.map((column, index) => column ^ expand(hashes, keys1, name, index) ^ bitsOf(choice) ^ lie(index))
  const matrix = concatBytes(...sent.map((column) => bytesOf(column, COLUMN_BYTES)))
  const digest = hashes.sha512(encodeItems('ot/chi', [name, hashes.sha256(matrix)]))
  const weights = range(4).map((index) => bitsOf(digest.slice(16 * index, 16 * index + 16)))
  const tags = [bitsOf(choice), ...columns].map((bits) => bytesOf(linearHashModel(weights, bits), 16))
  return { rows: rowsOf(columns), message: concatBytes(matrix, ...tags) }
}

/** The sender's rows, unchecked. */
export function senderRowsModel(
  hashes: DcrmBackend,
  { asSender }: Pick<PairState, 'asSender'>,
  name: Uint8Array,
  message: Uint8Array,
): readonly Uint8Array[] {
  const delta = bitsOf(asSender.delta)
  return rowsOf(
    range(COLUMNS).map((index) => {
      const sent = bitsOf(message.slice(COLUMN_BYTES * index, COLUMN_BYTES * (index + 1)))
      return expand(hashes, asSender.keys, name, index) ^ (bitAt(delta, index) === 1 ? sent : 0n)
    }),
  )
}

const gadgetModel = ({ backend, keyId, epoch, sender, receiver }: VoleContext): readonly bigint[] => {
  const bytes = backend.shake256(encodeItems('vole/gadget', [keyId, epoch, sender, receiver]), 32 * ROWS)
  return range(ROWS).map((row) => bytesToBigint(bytes.slice(32 * row, 32 * row + 32)) % backend.secp256k1.order)
}

const padsModel = ({ backend, name }: VoleContext, row: number, bytes: Uint8Array): readonly bigint[] => {
  const output = backend.shake256(concatBytes(encodeItems('vole/row', [name]), uintBytes(row, 4), bytes), 96)
  return range(3).map((column) => bytesToBigint(output.slice(32 * column, 32 * column + 32)))
}

/** b = Σ β_j·g_j. */
export function productFactorModel(context: VoleContext, choice: Uint8Array): bigint {
  const bits = bitsOf(choice)
  const sum = gadgetModel(context).reduce((total, weight, row) => (bitAt(bits, row) === 1 ? total + weight : total), 0n)
  return sum % context.backend.secp256k1.order
}

/** The sender's side with a mask of the caller's choice. `lie` may change a correction before everything that depends on it. */
export function voleSendModel(
  context: VoleContext,
  rows: readonly Uint8Array[],
  delta: Uint8Array,
  [first, second, mask]: readonly [bigint, bigint, bigint],
  lie: (row: number, column: number, correction: bigint) => bigint = (_row, _column, correction) => correction,
): Readonly<{ shares: readonly [bigint, bigint]; message: Uint8Array }> {
  const { backend, name } = context
  const { order } = backend.secp256k1
  const zeros = rows.map((row, index) => padsModel(context, index, row))
  const ones = rows.map((row, index) =>
    padsModel(
      context,
      index,
      row.map((byte, at) => byte ^ (delta[at] ?? 0)),
    ),
  )
  const columns = [first, second, mask]
  const corrections = concatBytes(
    ...zeros.flatMap((pads, row) =>
      pads.map((pad, column) => scalarBytes(lie(row, column, mod(pad - (ones[row]?.[column] ?? 0n) + (columns[column] ?? 0n), order)))),
    ),
  )
  const theta = (index: number): bigint => hashToScalar(backend, backend.secp256k1, 'vole/theta', name, index, backend.sha256(corrections))
  const eta = mod(mask + theta(0) * first + theta(1) * second, order)
  const checks = zeros.map(([pad0 = 0n, pad1 = 0n, pad2 = 0n]) => scalarBytes(mod(pad2 + theta(0) * pad0 + theta(1) * pad1, order)))
  const gadget = gadgetModel(context)
  const share = (column: number): bigint =>
    mod(-zeros.reduce((sum, pads, row) => sum + (gadget[row] ?? 0n) * (pads[column] ?? 0n), 0n), order)
  const digest = hashItems(backend, 'vole/mu', name, concatBytes(...checks))
  return { shares: [share(0), share(1)], message: concatBytes(corrections, scalarBytes(eta), digest) }
}

/** Both sides of a pair as if base transfers had been made: parties 1 and 2. */
export function dealtPair(backend: DcrmBackend, word = 'pair'): readonly [PairState, PairState] {
  const keysOf = (label: string): Uint8Array => backend.shake256(seedOf(`${word} ${label}`), 32 * COLUMNS)
  const side = (sender: number) => {
    const delta = seedOf(`${word} delta ${sender}`).slice(0, 16)
    const [keys0, keys1] = [keysOf(`keys 0 ${sender}`), keysOf(`keys 1 ${sender}`)]
    const chosen = range(COLUMNS).map((index) => (bitAt(bitsOf(delta), index) === 1 ? keys1 : keys0).slice(32 * index, 32 * index + 32))
    return { asSender: { delta, keys: concatBytes(...chosen) }, asReceiver: { keys0, keys1 } }
  }
  const [one, two] = [side(1), side(2)]
  const zero = seedOf(`${word} zero`)
  return [
    { peer: 2, asSender: one.asSender, asReceiver: two.asReceiver, zero },
    { peer: 1, asSender: two.asSender, asReceiver: one.asReceiver, zero },
  ]
}
