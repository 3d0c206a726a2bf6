/** Signature vectors from outside: RFC 9591, BIP340, BIP341, Wycheproof. @module */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { bytesToBigint } from '#shared/bytes.ts'
import type { Point } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { tapTweak } from '#shared/dcrm/derive.ts'
import type { FrostCommitment } from '#shared/dcrm/frost-math.ts'
import { frostAggregate, frostContext, frostNonce, frostShare, isFrostShareValid } from '#shared/dcrm/frost-math.ts'
import { frostSuite } from '#shared/dcrm/frost-suite.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { verifyBip340, verifyEcdsa, verifyEd25519 } from '#shared/dcrm/verify.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hex, unhex } from '#test/unit/dcrm/support.ts'

const FOLDER = '../shared/vectors'
const has = existsSync(FOLDER)
if (!has) console.log('skipped: signature vectors are not in ../shared/vectors')
const skips = !has && process.env['CI'] === undefined
const text = (name: string): string => readFileSync(`${FOLDER}/${name}`, 'utf8')
const json = <T>(name: string): T => JSON.parse(text(name)) as T
const group = nobleBackend.secp256k1

type Outputs<Fields extends string> = Readonly<{
  outputs: readonly (Readonly<{ identifier: number }> & Readonly<Record<Fields, string>>)[]
}>
type FrostVector = Readonly<{
  inputs: Readonly<{
    group_public_key: string
    message: string
    participant_shares: readonly Readonly<{ identifier: number; participant_share: string }>[]
  }>
  round_one_outputs: Outputs<
    | 'hiding_nonce_randomness'
    | 'binding_nonce_randomness'
    | 'hiding_nonce'
    | 'binding_nonce'
    | 'hiding_nonce_commitment'
    | 'binding_nonce_commitment'
    | 'binding_factor'
  >
  round_two_outputs: Outputs<'sig_share'>
  final_output: Readonly<{ sig: string }>
}>

describe.skipIf(skips).each(['ed25519', 'secp256k1'] as const)('RFC 9591 over %s', (name) => {
  it('gives the nonces, commitments, binding factors, shares and signature of the specification', () => {
    const suite = frostSuite(nobleBackend, name)
    const vector = json<FrostVector>(`rfc9591/frost-${name}-${name === 'ed25519' ? 'sha512' : 'sha256'}.json`)
    const scalar = (value: string): bigint => bytesToBigint(name === 'ed25519' ? hex(value).toReversed() : hex(value))
    const encoded = (value: bigint): string => unhex(suite.encodeScalar(value))
    const message = hex(vector.inputs.message)
    const shareOf = (id: number): bigint =>
      scalar(vector.inputs.participant_shares.find(({ identifier }) => identifier === id)?.participant_share ?? '')
    const first = vector.round_one_outputs.outputs.map((output) => {
      const share = shareOf(output.identifier)
      const nonces = {
        hiding: frostNonce(suite, hex(output.hiding_nonce_randomness), share),
        binding: frostNonce(suite, hex(output.binding_nonce_randomness), share),
      }
      expect([encoded(nonces.hiding), encoded(nonces.binding)]).toEqual([output.hiding_nonce, output.binding_nonce])
      const commitment: FrostCommitment = {
        id: output.identifier,
        hiding: suite.group.mulBase(nonces.hiding),
        binding: suite.group.mulBase(nonces.binding),
      }
      expect(unhex(suite.group.encode(commitment.hiding), suite.group.encode(commitment.binding))).toBe(
        `${output.hiding_nonce_commitment}${output.binding_nonce_commitment}`,
      )
      return { output, share, nonces, commitment }
    })
    const key = suite.group.decode(hex(vector.inputs.group_public_key)) as Point
    const context = frostContext(
      suite,
      key,
      message,
      first.map(({ commitment }) => commitment),
    )
    if (context === null) throw new Error('a nonce of the specification is not the identity')
    const responses = first.map(({ output, share, nonces, commitment }, index) => {
      expect(encoded(context.bindingFactors.get(output.identifier) ?? 0n)).toBe(output.binding_factor)
      const response = frostShare(suite, context, output.identifier, share, nonces)
      expect(encoded(response)).toBe(vector.round_two_outputs.outputs[index]?.sig_share)
      expect(isFrostShareValid(suite, context, commitment, suite.group.mulBase(share), response)).toBe(true)
      expect(isFrostShareValid(suite, context, commitment, suite.group.mulBase(share), response + 1n)).toBe(false)
      return response
    })
    expect(unhex(frostAggregate(suite, context, responses))).toBe(vector.final_output.sig)
  })
})

describe.skipIf(skips)('BIP340 and BIP341', () => {
  it('verify what the BIP verifies and refuse the rest', () => {
    const rows = text('bips/bip-0340/test-vectors.csv').trim().split('\n').slice(1)
    expect(rows.length).toBeGreaterThan(15)
    for (const row of rows) {
      const [index, , key = '', , message = '', signature = '', result] = row.split(',')
      expect([index, verifyBip340(nobleBackend, hex(key), hex(message), hex(signature))]).toEqual([index, result === 'TRUE'])
    }
  })
  it('tweak internal keys as the wallet vectors do, with and without scripts', () => {
    type Row = Readonly<{
      given: Readonly<{ internalPubkey: string }>
      intermediary: Readonly<{ merkleRoot: string | null; tweak: string; tweakedPubkey: string }>
    }>
    const rows = json<Readonly<{ scriptPubKey: readonly Row[] }>>('bips/bip-0341/wallet-test-vectors.json').scriptPubKey
    expect(rows.length).toBeGreaterThan(5)
    for (const { given, intermediary } of rows) {
      const tweak = tapTweak(nobleBackend, hex(given.internalPubkey), hex(intermediary.merkleRoot ?? '')) ?? 0n
      expect(unhex(scalarBytes(tweak))).toBe(intermediary.tweak)
      const output = group.add(group.liftX(hex(given.internalPubkey)) as Point, group.mulPublic(group.generator, tweak))
      expect(unhex(group.coordinates(output).x)).toBe(intermediary.tweakedPubkey)
    }
  })
})

type Wycheproof = Readonly<{
  testGroups: readonly Readonly<{
    publicKey: Readonly<{ uncompressed?: string; pk?: string }>
    tests: readonly Readonly<{ tcId: number; msg: string; sig: string; result: string }>[]
  }>[]
}>
const cases = (name: string) =>
  json<Wycheproof>(`wycheproof/${name}`).testGroups.flatMap(({ publicKey, tests }) => tests.map((test) => ({ ...test, publicKey })))

/** Whether r ‖ s verifies with one of the four recovery ids. */
function isEcdsaValid(key: string, message: string, signature: Uint8Array): boolean {
  const compressed = secp256k1.Point.fromHex(key).toBytes()
  const digest = createHash('sha256').update(hex(message)).digest()
  return [0, 1, 2, 3].some((recovery) => verifyEcdsa(nobleBackend, compressed, digest, Uint8Array.of(...signature, recovery)))
}

describe.skipIf(skips)('Wycheproof', () => {
  it('ECDSA over secp256k1 with r ‖ s: accepts exactly the valid signatures with low s', () => {
    const rows = cases('ecdsa_secp256k1_sha256_p1363_test.json')
    expect(rows.length).toBeGreaterThan(200)
    for (const { tcId, msg, sig, result, publicKey } of rows) {
      const isLow = sig.length === 128 && BigInt(`0x${sig.slice(64)}`) <= group.order / 2n
      expect([tcId, isEcdsaValid(publicKey.uncompressed ?? '', msg, hex(sig))]).toEqual([tcId, result === 'valid' && isLow])
    }
  })
  it('ECDSA as Bitcoin has it: accepts exactly the valid ones', () => {
    const rows = cases('ecdsa_secp256k1_sha256_bitcoin_test.json')
    expect(rows.length).toBeGreaterThan(200)
    const compact = (der: string): Uint8Array => {
      try {
        return secp256k1.Signature.fromHex(der, 'der').toBytes('compact')
      } catch {
        return new Uint8Array(64)
      }
    }
    for (const { tcId, msg, sig, result, publicKey } of rows)
      expect([tcId, isEcdsaValid(publicKey.uncompressed ?? '', msg, compact(sig))]).toEqual([tcId, result === 'valid'])
  })
  it('Ed25519: accepts exactly the valid ones', () => {
    const rows = cases('ed25519_test.json')
    expect(rows.length).toBeGreaterThan(100)
    for (const { tcId, msg, sig, result, publicKey } of rows)
      expect([tcId, verifyEd25519(nobleBackend, hex(publicKey.pk ?? ''), hex(msg), hex(sig))]).toEqual([tcId, result === 'valid'])
  })
})
