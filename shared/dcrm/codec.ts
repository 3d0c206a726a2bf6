/**
 * Reading and writing payloads of key protocols: fixed sizes, big-endian, no optional parts. A reader yields null once anything is wrong and
 * stays wrong, so a decoder reads all fields and asks once. Source: docs/dcrm.md, hashing.
 * @module
 */
import { bigintToBytes, bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import { invariant } from '#shared/fault.ts'

/** 32 big-endian bytes of a scalar. */
export function scalarBytes(scalar: Scalar): Uint8Array {
  return bigintToBytes(scalar, 32)
}

/** A received scalar: 32 bytes below the order, never reduced; null otherwise. */
export function decodeScalar(bytes: Uint8Array, order: bigint): Scalar | null {
  if (bytes.length !== 32) return null
  const value = bytesToBigint(bytes)
  return value < order ? value : null
}

/** Encoded points one after another. */
export function pointsBytes(group: Group, points: readonly Point[]): Uint8Array {
  return concatBytes(...group.encodeAll(points))
}

/** A point of a key that was checked when it was made. @throws {InvariantError} for anything else */
export function storedPoint(group: Group, bytes: Uint8Array | undefined): Point {
  const point = group.decode(bytes ?? new Uint8Array(0))
  invariant(point !== null, 'a stored key holds valid points')
  return point
}

/** Reads a payload field by field. */
export class PayloadReader {
  readonly #bytes: Uint8Array
  #offset = 0
  #isBroken = false

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Whether every field was well formed and nothing is left. */
  isWhole(): boolean {
    return !this.#isBroken && this.#offset === this.#bytes.length
  }

  bytes(length: number): Uint8Array {
    const end = this.#offset + length
    // A copy whatever the input is: the slice of a Node buffer would share its memory.
    const part = new Uint8Array(length)
    // A field that is cut counts as zeros, so that half a number never asks for millions of items. Past the end the reader is never whole again.
    if (end <= this.#bytes.length) part.set(this.#bytes.subarray(this.#offset, end))
    this.#offset = end
    return part
  }

  uint(length: 1 | 2 | 4): number {
    return this.bytes(length).reduce((value, byte) => value * 256 + byte, 0)
  }

  scalar(order: bigint): Scalar {
    const value = decodeScalar(this.bytes(32), order)
    if (value === null) this.#isBroken = true
    return value ?? 0n
  }

  point(group: Group): Point {
    const point = group.decode(this.bytes(group.pointBytes))
    if (point === null) this.#isBroken = true
    return point ?? group.generator
  }

  /** Exactly `count` points. */
  points(group: Group, count: number): readonly Point[] {
    return Array.from({ length: count }, () => this.point(group))
  }
}

/** The result of `read` when the payload is exactly what it reads, null otherwise. */
export function decodePayload<T>(payload: Uint8Array, read: (reader: PayloadReader) => T): T | null {
  const reader = new PayloadReader(payload)
  const value = read(reader)
  return reader.isWhole() ? value : null
}
