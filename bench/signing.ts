/** `npm run bench -- signing`: what keys nobody holds cost. Prints one table per measure and, last, one line of JSON. @module */
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import type { Scheme } from '#shared/dcrm/types.ts'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { machine } from './script.ts'
import type { BenchKey, MeasuredBench } from './signing-engine.ts'
import { createMeasuredBench } from './signing-engine.ts'
import type { Range } from './statistics.ts'
import { rangeOf } from './statistics.ts'

const SIZES = [
  [2, 3],
  [3, 5],
  [5, 9],
] as const
const SCHEMES: readonly Scheme[] = ['ecdsa', 'taproot', 'ed25519']
/** DER of an Ed25519 public key, before its 32 bytes. Source: RFC 8410. */
const ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** CPU time in milliseconds of all parties together, and payload bytes the busiest party sends. */
type Line = Readonly<{ scheme: Scheme; signers: string; step: string; bytesPerParty: number }> & Range

/** Whether somebody who knows nothing of threshold keys accepts the signature. */
function isAccepted(scheme: Scheme, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  if (scheme === 'ecdsa') return secp256k1.verify(signature.slice(0, 64), digest, key, { prehash: false, lowS: true })
  if (scheme === 'taproot') return schnorr.verify(signature, digest, key)
  const hostKey = createPublicKey({ key: Buffer.concat([ED25519_PREFIX, key]), format: 'der', type: 'spki' })
  return verify(null, digest, hostKey, signature)
}

/** Runs `work` and notes the processor time it took. */
function timed<T extends Readonly<{ bytesPerParty: number }>>(samples: number[], work: () => T): T {
  const before = process.cpuUsage()
  const made = work()
  const { user, system } = process.cpuUsage(before)
  samples.push((user + system) / 1_000)
  return made
}

type Measured = { readonly ms: number[]; bytes: number }
const nothing = (): Measured => ({ ms: [], bytes: 0 })

function signOnce(bench: MeasuredBench, key: BenchKey, signers: readonly number[], presign: Measured, online: Measured): void {
  // A digest that somebody could have: of 32 random bytes.
  const digest = createHash('sha256').update(randomBytes(32)).digest()
  const prepared = key.scheme === 'ecdsa' ? timed(presign.ms, () => bench.presign(key, signers)) : null
  const signed = timed(online.ms, () => bench.signOnline(key, signers, digest, prepared?.result ?? null))
  presign.bytes = prepared?.bytesPerParty ?? 0
  online.bytes = signed.bytesPerParty
  if (!isAccepted(key.scheme, key.child.signingKey, digest, signed.result)) throw new Error(`a ${key.scheme} signature that nobody accepts`)
}

function measure(scheme: Scheme, threshold: number, members: number, keys: number, signatures: number): readonly Line[] {
  const bench = createMeasuredBench(scheme)
  const [keygen, presign, online] = [nothing(), nothing(), nothing()]
  const label = `${threshold}-of-${members}`
  for (let round = 0; round < keys; round++) {
    const made = timed(keygen.ms, () => bench.keygen(threshold, members))
    keygen.bytes = made.bytesPerParty
    const ids = [...made.result.shares.keys()]
    for (let turn = 0; turn < signatures; turn++) {
      const start = (round + turn) % (members - threshold + 1)
      signOnce(bench, made.result, ids.slice(start, start + threshold), presign, online)
    }
  }
  const line = (step: string, { ms, bytes }: Measured): Line => ({ scheme, signers: label, step, bytesPerParty: bytes, ...rangeOf(ms) })
  return [
    line(scheme === 'ecdsa' ? 'key with pairwise setup' : 'key', keygen),
    ...(scheme === 'ecdsa' ? [line('presignature', presign)] : []),
    line(scheme === 'ecdsa' ? 'online signature' : 'signature', online),
  ]
}

/** Measures all schemes and sizes: `keys` keys each, `signatures` signatures with every key. Each signature is verified by other code. */
export function measureSigning(keys: number, signatures: number): void {
  const before = machine()
  // The first runs of a process measure its compiler.
  for (const scheme of SCHEMES) measure(scheme, 2, 3, 1, 10)
  const lines = SCHEMES.flatMap((scheme) => SIZES.flatMap(([threshold, members]) => measure(scheme, threshold, members, keys, signatures)))
  console.table(lines)
  const peakMemoryMB = Math.round(process.resourceUsage().maxRSS / 1_024)
  console.info(JSON.stringify({ bench: 'signing', ...before, unit: 'CPU ms of all parties together', peakMemoryMB, lines }))
}
