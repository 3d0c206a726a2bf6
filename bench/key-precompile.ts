/**
 * What the key precompile costs for its price. Prints a table and one line of JSON. Times are process CPU time with the backend of a validator;
 * inputs are the dearest of each kind that are known: valid signatures, the largest draw, disputes that make the search for sets longest.
 * @module
 */
import { machine } from './script.ts'
import { createNativeSuite } from '#node/crypto/native.ts'
import { createKeyHost } from '#node/dcrm/key-host.ts'
import { concatBytes, hexToBytes } from '#shared/bytes.ts'
import type { Group } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { encodeContentEvidence, encodeEvidence } from '#shared/dcrm/evidence.ts'
import { encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import { DCRM_SELECTOR, dcrmGas, dcrmPrecompile } from '#shared/dcrm/precompile.ts'
import { provePossession } from '#shared/dcrm/vss.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'

const RUNS = 300
const MEMBERS = 32

const suite = await createNativeSuite()
const host = createKeyHost(suite)
const { backend } = host
const byte = (...values: readonly number[]): Uint8Array => Uint8Array.from(values)
const word = backend.sha256(byte(1))
const secret = backend.sha256(byte(2))
const compressed = secp256k1.getPublicKey(secret)
const xOnly = schnorr.getPublicKey(secret)
const edwards = ed25519.getPublicKey(secret)
const recovered = secp256k1.sign(word, secret, { prehash: false, format: 'recovered' })
const ecdsa = concatBytes(recovered.slice(1), recovered.slice(0, 1))
const recovery = recovered[0] === 1 ? 1 : 0
const signer = hexToBytes(suite.recoverAddress(word, ecdsa.slice(0, 32), ecdsa.slice(32, 64), recovery) ?? '0x')
const zero = new Uint8Array(32)
const draw = concatBytes(word, zero, byte(0, 0))
const members = Array.from({ length: MEMBERS }, (_, index) => index + 1)

/** A graph in which every member disputes with `degree` others, spread as the rounds of a tournament. */
function graph(degree: number): Uint8Array {
  const pairs = Array.from({ length: degree }, (_, round) =>
    members.slice(0, MEMBERS / 2).map((_member, index) => {
      const place = (offset: number): number => ((offset + (round * 7 + 3) * (round + 1)) % (MEMBERS - 1)) + 1
      return index === 0 ? [MEMBERS, place(0)] : [place(index), place(MEMBERS - 1 - index)]
    }),
  ).flat()
  return concatBytes(
    byte(MEMBERS),
    ...members.map((id) => uintBytes(id, 2)),
    uintBytes(pairs.length, 2),
    ...pairs.flat().map((id) => uintBytes(id, 2)),
    byte(0),
  )
}

function envelope(payload: Uint8Array, id = word, round = 1): Uint8Array {
  const unsigned: UnsignedEnvelope = { id, epoch: 0, round, kind: 'broadcast', from: 7, to: null, seq: 0, previous: zero, payload }
  return encodeEnvelope({ ...unsigned, signature: nobleEnvelopeCrypto.sign(secret, envelopeDigest(backend, unsigned)) })
}

/** Images of a polynomial with the proof that their dealer knows its constant: honest, so that all of it is looked at. */
function images(group: Group, threshold: number): Uint8Array {
  const subject = { chainId: 1, protocol: 'dkg', requestId: word, epoch: 0, set: members, attempt: 0 }
  const nonces = members.map(() => zero)
  const sid = sessionIdOf(backend, openIdOf(backend, subject), nonces)
  const { nonce, response } = provePossession(backend, group, createDrbg(backend, word, 'bench'), sid, 7, 5n)
  const points = Array.from({ length: threshold }, (_, index) => group.mulBase(BigInt(index) * 7919n + 5n))
  const payload = concatBytes(...group.encodeAll([...points, nonce]), scalarBytes(response))
  const evidence = encodeContentEvidence(envelope(payload, sid, 4), subject, nonces) ?? zero
  return concatBytes(byte(DCRM_SELECTOR.judge), uintBytes(7, 2), edwards, evidence)
}

const verify = (scheme: number, key: Uint8Array, signature: Uint8Array): Uint8Array =>
  concatBytes(byte(DCRM_SELECTOR.verify, scheme, key.length), key, word, signature)
const child = (scheme: number, key: Uint8Array): Uint8Array => concatBytes(byte(DCRM_SELECTOR.childKey, scheme), word, byte(3), zero, key)
const candidates = (count: number): Uint8Array =>
  concatBytes(...Array.from({ length: count }, (_, index) => concatBytes(uintBytes(index + 1, 2), new Uint8Array(20).fill(index))))

const inputs: Readonly<Record<string, Uint8Array>> = {
  'verify ECDSA by key': verify(0, compressed, ecdsa),
  'verify BIP340': verify(1, xOnly, schnorr.sign(word, secret)),
  'verify Ed25519': verify(2, edwards, ed25519.sign(word, secret)),
  'verify ECDSA by address': verify(3, signer, ecdsa),
  'child ECDSA': child(0, compressed),
  'child Taproot': child(1, compressed),
  'child Ed25519': child(2, edwards),
  'address ECDSA': concatBytes(byte(DCRM_SELECTOR.address, 0), compressed),
  'address Taproot': concatBytes(byte(DCRM_SELECTOR.address, 1), xOnly),
  'address Ed25519': concatBytes(byte(DCRM_SELECTOR.address, 2), edwards),
  'committee 32 of 255': concatBytes(byte(DCRM_SELECTOR.committee), draw, byte(MEMBERS, 255), candidates(255)),
  'committee 3 of 5': concatBytes(byte(DCRM_SELECTOR.committee), draw, byte(3, 5), candidates(5)),
  'judge two envelopes': concatBytes(
    byte(DCRM_SELECTOR.judge),
    uintBytes(7, 2),
    edwards,
    encodeEvidence([envelope(byte(1)), envelope(byte(2))]),
  ),
  'judge two large envelopes': concatBytes(
    byte(DCRM_SELECTOR.judge),
    uintBytes(7, 2),
    edwards,
    encodeEvidence([envelope(new Uint8Array(9000)), envelope(new Uint8Array(9001))]),
  ),
  'judge images, secp256k1 2 points': images(backend.secp256k1, 2),
  'judge images, secp256k1 32 points': images(backend.secp256k1, 32),
  'judge images, Ed25519 2 points': images(backend.ed25519, 2),
  'judge images, Ed25519 32 points': images(backend.ed25519, 32),
  'generic digest': concatBytes(byte(DCRM_SELECTOR.genericDigest), word, word, word),
  'heartbeat digest': concatBytes(byte(DCRM_SELECTOR.heartbeatDigest), word, word, new Uint8Array(8), word),
  ...Object.fromEntries(
    [0, 3, 5, 7, 9, 12, 20].flatMap((degree) => [
      [`signing set of 8, ${degree} disputes each`, concatBytes(byte(DCRM_SELECTOR.signingSet), draw, byte(8), graph(degree))],
      [`largest set, ${degree} disputes each`, concatBytes(byte(DCRM_SELECTOR.largestSet), graph(degree))],
    ]),
  ),
}

const before = machine()
const rows = Object.entries(inputs).map(([name, input]) => {
  for (let warm = 0; warm < RUNS / 10; warm++) dcrmPrecompile(host, input)
  const start = process.cpuUsage()
  for (let run = 0; run < RUNS; run++) dcrmPrecompile(host, input)
  const { user, system } = process.cpuUsage(start)
  const microseconds = (user + system) / RUNS
  const gas = Number(dcrmGas(input))
  return { input: name, microseconds: Math.round(microseconds * 10) / 10, gas, gasPerMicrosecond: Math.round(gas / microseconds) }
})
console.table(rows)
console.info(JSON.stringify({ bench: 'key-precompile', ...before, rows }))
