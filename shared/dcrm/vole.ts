/**
 * Random vector oblivious linear evaluation: the receiver gets a random b, the sender puts in a_0 and a_1, and they end with shares
 * c_i + e_i = a_i·b. Two messages. Null from either step means the other side cheated in a way only this side can see: the caller shuts the
 * pair out for good before anything else happens. Source: Doerner, Kondi, Lee, shelat 2023 (DKLs23), protocol 5.2; docs/dcrm.md, VOLE.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Scalar } from '#shared/dcrm/backend.ts'
import { bitOf, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import type { Drbg } from '#shared/dcrm/drbg.ts'
import { encodeItems, hashItems, hashToScalar } from '#shared/dcrm/hash.ts'
import { OT_CHOICE_BYTES, OT_MESSAGE_BYTES, OT_ROWS, extendAsReceiver, extendAsSender } from '#shared/dcrm/ot-extension.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import { readScalar, writeScalar } from '#shared/dcrm/scalar-bytes.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** ℓ + ρ: two inputs and one check column. */
const WIDTH = 3
const SCALAR_BYTES = 32
const ROW_BYTES = WIDTH * SCALAR_BYTES
const CORRECTION_BYTES = OT_ROWS * ROW_BYTES

/** Bytes of the receiver's message. */
export const VOLE_RECEIVER_BYTES = OT_MESSAGE_BYTES
/** Bytes of the sender's message: ã ‖ η ‖ μ. */
export const VOLE_SENDER_BYTES = CORRECTION_BYTES + 2 * SCALAR_BYTES

/** Binds a run to key, epoch and ordered pair. */
export type VoleContext = Readonly<{
  backend: DcrmBackend
  keyId: Uint8Array
  epoch: number
  sender: PartyId
  receiver: PartyId
  /** v, 32 bytes: unique per run; contains fresh randomness of both sides. */
  name: Uint8Array
}>

/** The receiver between its message and the sender's. Secret. */
export type VoleReceiver = Readonly<{ choices: Uint32Array; rows: Uint32Array; gadget: readonly Scalar[] }>

/** g_j: public pseudorandom weights that turn 416 choice bits into a scalar. */
export function voleGadget({ backend, keyId, epoch, sender, receiver }: VoleContext): readonly Scalar[] {
  const bytes = backend.shake256(encodeItems('vole/gadget', [keyId, epoch, sender, receiver]), OT_ROWS * SCALAR_BYTES)
  const { order } = backend.secp256k1
  return Array.from({ length: OT_ROWS }, (_, index) => readScalar(bytes, index * SCALAR_BYTES) % order)
}

/** Receiver's first step: message and b = Σ β_j·g_j. */
export function voleReceive(
  context: VoleContext,
  pair: Pick<PairState, 'asReceiver'>,
  drbg: Drbg,
): Readonly<{ state: VoleReceiver; b: Scalar; message: Uint8Array }> {
  const { choices, rows, message } = extendAsReceiver(context.backend, pair.asReceiver, context.name, drbg.bytes(OT_CHOICE_BYTES))
  const gadget = voleGadget(context)
  const sum = gadget.reduce((total, weight, index) => total + weight * BigInt(bitOf(choices, index)), 0n)
  return { state: { choices, rows, gadget }, b: sum % context.backend.secp256k1.order, message }
}

/** Pads of a row: three integers below 2^256, congruent to scalars. Reuses one input buffer, so it is made once per run. */
function rowPads({ backend, name }: VoleContext): (index: number, rows: Uint32Array, mask: Uint32Array | null) => Uint8Array {
  const prefix = encodeItems('vole/row', [name])
  const input = concatBytes(prefix, new Uint8Array(4 + 16))
  const view = new DataView(input.buffer)
  return (index, rows, mask) => {
    view.setUint32(prefix.length, index)
    for (let word = 0; word < 4; word++)
      view.setUint32(prefix.length + 4 + 4 * word, (rows[4 * index + word] ?? 0) ^ (mask?.[word] ?? 0), true)
    return backend.shake256(input, ROW_BYTES)
  }
}

/** θ_0, θ_1: weights of the check, fixed by ã. */
function checkWeights({ backend, name }: VoleContext, corrections: Uint8Array): readonly [Scalar, Scalar] {
  const digest = backend.sha256(corrections)
  const weight = (index: number): Scalar => hashToScalar(backend, backend.secp256k1, 'vole/theta', name, index, digest)
  return [weight(0), weight(1)]
}

/** Sender's step: its shares c_0, c_1 and the message, or null when the receiver's check fails. */
export function voleSend(
  context: VoleContext,
  pair: Pick<PairState, 'asSender'>,
  received: Uint8Array,
  inputs: readonly [Scalar, Scalar],
  drbg: Drbg,
): Readonly<{ shares: readonly [Scalar, Scalar]; message: Uint8Array }> | null {
  const { backend, name } = context
  const { order } = backend.secp256k1
  const rows = extendAsSender(backend, pair.asSender, name, received)
  if (rows === null) return null
  const delta = wordsOf(pair.asSender.delta)
  const mask = drbg.scalar(backend.secp256k1)
  const columns = [...inputs, mask] as const
  const corrections = new Uint8Array(CORRECTION_BYTES)
  const zeros = new Uint8Array(OT_ROWS * ROW_BYTES)
  const pads = rowPads(context)
  for (let row = 0; row < OT_ROWS; row++) {
    const zero = pads(row, rows, null)
    zeros.set(zero, row * ROW_BYTES)
    const one = pads(row, rows, delta)
    for (let column = 0; column < WIDTH; column++) {
      const at = column * SCALAR_BYTES
      const correction = mod(readScalar(zero, at) - readScalar(one, at) + (columns[column] ?? 0n), order)
      writeScalar(corrections, row * ROW_BYTES + at, correction)
    }
  }
  const [theta0, theta1] = checkWeights(context, corrections)
  const eta = mod(mask + theta0 * inputs[0] + theta1 * inputs[1], order)
  const gadget = voleGadget(context)
  const checks = new Uint8Array(OT_ROWS * SCALAR_BYTES)
  let [first, second] = [0n, 0n]
  for (let row = 0; row < OT_ROWS; row++) {
    const [pad0, pad1, pad2] = padsAt(zeros, row)
    writeScalar(checks, row * SCALAR_BYTES, (pad2 + theta0 * pad0 + theta1 * pad1) % order)
    const weight = gadget[row] ?? 0n
    first += weight * pad0
    second += weight * pad1
  }
  const digest = hashItems(backend, 'vole/mu', name, checks)
  const tail = new Uint8Array(SCALAR_BYTES)
  writeScalar(tail, 0, eta)
  return { shares: [mod(-first, order), mod(-second, order)], message: concatBytes(corrections, tail, digest) }
}

const padsAt = (pads: Uint8Array, row: number): readonly [Scalar, Scalar, Scalar] => {
  const at = row * ROW_BYTES
  return [readScalar(pads, at), readScalar(pads, at + SCALAR_BYTES), readScalar(pads, at + 2 * SCALAR_BYTES)]
}

/** Receiver's second step: its shares e_0, e_1, or null when the sender's check fails or a value is no scalar. */
export function voleFinish(context: VoleContext, state: VoleReceiver, message: Uint8Array): readonly [Scalar, Scalar] | null {
  const { backend, name } = context
  const { order } = backend.secp256k1
  if (message.length !== VOLE_SENDER_BYTES) return null
  const corrections = message.subarray(0, CORRECTION_BYTES)
  const [theta0, theta1] = checkWeights(context, corrections)
  const eta = readScalar(message, CORRECTION_BYTES)
  let isCanonical = eta < order
  const checks = new Uint8Array(OT_ROWS * SCALAR_BYTES)
  const pads = rowPads(context)
  let [first, second] = [0n, 0n]
  for (let row = 0; row < OT_ROWS; row++) {
    const choice = BigInt(bitOf(state.choices, row))
    const own = pads(row, state.rows, null)
    const values = [0, 1, 2].map((column) => {
      const correction = readScalar(corrections, row * ROW_BYTES + column * SCALAR_BYTES)
      isCanonical = isCanonical && correction < order
      return readScalar(own, column * SCALAR_BYTES) + choice * correction
    }) as [Scalar, Scalar, Scalar]
    writeScalar(checks, row * SCALAR_BYTES, mod(values[2] + theta0 * values[0] + theta1 * values[1] - choice * eta, order))
    const weight = state.gadget[row] ?? 0n
    first += weight * values[0]
    second += weight * values[1]
  }
  const digest = hashItems(backend, 'vole/mu', name, checks)
  let difference = isCanonical ? 0 : 1
  for (const [index, byte] of digest.entries()) difference |= byte ^ (message[CORRECTION_BYTES + SCALAR_BYTES + index] ?? 0)
  return difference === 0 ? [first % order, second % order] : null
}
