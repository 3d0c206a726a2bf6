/** Decimal text to fixed-point integers and back, exact at every size. No floats. @module */
import { DecodeError } from '#shared/fault.ts'

const DECIMAL = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?$/
/** Largest power of ten a number may be shifted by: 192-bit values have 58 digits. */
const SHIFT_MAX = 96
const DIGITS_MAX = 128

/**
 * A decimal number, exponents allowed, as an integer count of 10^-decimals; what is finer is rounded half away from zero.
 * @throws {DecodeError} DECIMAL_INVALID
 */
export function toFixedPoint(text: string, decimals: number): bigint {
  const match = text.length > DIGITS_MAX ? null : DECIMAL.exec(text)
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match ?? []
  const shift = Number(exponent) + decimals - fraction.length
  if (match === null || Math.abs(shift) > SHIFT_MAX) throw new DecodeError('DECIMAL_INVALID', '', 'expected a decimal number of sane size')
  const digits = BigInt(whole + fraction)
  const scale = 10n ** BigInt(Math.abs(shift))
  const magnitude = shift >= 0 ? digits * scale : (2n * digits + scale) / (2n * scale)
  return sign === '-' ? -magnitude : magnitude
}

/** A fixed-point integer as decimal text with exactly `decimals` places. */
export function fromFixedPoint(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0')
  const sign = value < 0n ? '-' : ''
  return decimals === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`
}
