/** Polynomials over the scalars of a group, and their images in it. Coefficients stand lowest first. Source: Shamir 1979; paper 3.5.2. @module */
import type { Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

/** Remainder in [0, order). */
export function mod(value: bigint, order: bigint): bigint {
  const rest = value % order
  return rest < 0n ? rest + order : rest
}

/** Inverse modulo a prime, by the extended Euclidean algorithm. Public values only. @throws {InvariantError} for 0 */
export function inverse(value: bigint, order: bigint): bigint {
  let [low, high] = [mod(value, order), order]
  let [x, y] = [1n, 0n]
  invariant(low !== 0n, 'zero has no inverse')
  while (low !== 1n) {
    const quotient = high / low
    ;[low, high] = [high - quotient * low, low]
    ;[x, y] = [y - quotient * x, x]
  }
  return mod(x, order)
}

/** f(at), by Horner's rule. */
export function evaluate(coefficients: readonly Scalar[], at: PartyId, order: bigint): Scalar {
  const point = BigInt(at)
  return coefficients.reduceRight((sum, coefficient) => (sum * point + coefficient) % order, 0n)
}

/** Σ at^k·C_k, by Horner's rule with the small public `at`. */
export function evaluateInExponent(group: Group, commitments: readonly Point[], at: PartyId): Point {
  const point = BigInt(at)
  return commitments.reduceRight((sum, commitment) => group.add(group.mulPublic(sum, point), commitment), group.identity)
}

/** λ_i(set) at `at`: Π (at − j)/(i − j) over j ≠ i. `set` has distinct ids and contains `self`. */
export function lagrange(set: readonly PartyId[], self: PartyId, order: bigint, at = 0): Scalar {
  invariant(set.includes(self) && new Set(set).size === set.length, 'an interpolation set has distinct points, its own among them')
  let numerator = 1n
  let denominator = 1n
  for (const other of set) {
    if (other === self) continue
    numerator = mod(numerator * BigInt(at - other), order)
    denominator = mod(denominator * BigInt(self - other), order)
  }
  return mod(numerator * inverse(denominator, order), order)
}

/** Coefficients of the polynomial of degree points−1 through all points. */
export function interpolate(points: readonly (readonly [PartyId, Scalar])[], order: bigint): readonly Scalar[] {
  let sum: readonly Scalar[] = []
  for (const [self, value] of points) {
    let basis: Scalar[] = [1n]
    let denominator = 1n
    for (const [other] of points) {
      if (other === self) continue
      basis = timesLinear(basis, other, order)
      denominator = mod(denominator * BigInt(self - other), order)
    }
    const factor = mod(value * inverse(denominator, order), order)
    const known = sum
    sum = basis.map((coefficient, index) => mod((known[index] ?? 0n) + coefficient * factor, order))
  }
  return sum
}

/** (z − root)·f(z). */
function timesLinear(coefficients: readonly Scalar[], root: PartyId, order: bigint): Scalar[] {
  const shifted = [0n, ...coefficients]
  return shifted.map((coefficient, index) => mod(coefficient - BigInt(root) * (coefficients[index] ?? 0n), order))
}
