/** Fast conversion between 32 big-endian bytes and integers, for the inner loops of VOLE. @module */

/** The 32 bytes at `offset` as an integer below 2^256. */
export function readScalar(bytes: Uint8Array, offset: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 32)
  return (view.getBigUint64(0) << 192n) | (view.getBigUint64(8) << 128n) | (view.getBigUint64(16) << 64n) | view.getBigUint64(24)
}

/** Writes an integer below 2^256 as 32 bytes at `offset`. */
export function writeScalar(bytes: Uint8Array, offset: number, scalar: bigint): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 32)
  view.setBigUint64(0, scalar >> 192n)
  view.setBigUint64(8, scalar >> 128n)
  view.setBigUint64(16, scalar >> 64n)
  view.setBigUint64(24, scalar)
}
