/** Canonical encoding of descriptions: one encoding each, total on any bytes. @module */
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { utf8FromBytes } from '#shared/trigger/byte-reader.ts'
import { DESCRIPTION_BYTES_MAX, decodeDescription, descHash, encodeDescription } from '#shared/trigger/codec.ts'
import { DAILY, anyDescription, withMode } from '#test/unit/trigger/samples.ts'
import { keccak256 } from 'viem'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

/** The daily sample written out by hand from the layout table of docs/protocol.md. */
const DAILY_BYTES = [
  '01', // version
  '05' + '6461696c79', // "daily"
  '01', // timing
  '02' + '09' + '302039202a202a202a', // cron "0 9 * * *"
  '00', // skip
  'bb'.repeat(20),
  '00'.repeat(16), // value
  '12345678',
  '00', // no arguments
  '000186a0', // gas limit 100,000
  '000000000000', // notBefore
  '01a2ce8bd400', // expiresAt, 2027-01-01
  '000003e8', // maxFires 1000
  '00000000', // cooldown
  '000000000000000000000002540be400', // 1e10
  '00000000', // freshFor
  '02', // retries
  '0000000a', // backoff
  '01', // thenPause
  '0000000000000000002386f26fc10000', // 1e16
  '000000000000000000038d7ea4c68000', // 1e15
  '0000000000000000000000e8d4a51000', // 1e12
  '00'.repeat(16),
].join('')

function roundTrip(bytes: Uint8Array): string {
  try {
    return bytesToHex(encodeDescription(decodeDescription(bytes)))
  } catch (error) {
    return error instanceof DecodeError ? error.name : String(error)
  }
}

describe('description codec', () => {
  it('encodes the sample to the bytes of the layout table', () => {
    expect(bytesToHex(encodeDescription(DAILY))).toBe(`0x${DAILY_BYTES}`)
  })

  it('names a description by the keccak of its bytes', () => {
    expect(descHash(DAILY)).toBe(keccak256(encodeDescription(DAILY)))
  })

  it('gives back what it encoded', () => {
    fc.assert(
      fc.property(anyDescription, (description) => {
        expect(decodeDescription(encodeDescription(description))).toEqual(description)
      }),
      { numRuns: 500 },
    )
  })

  it('either decodes bytes and encodes the same bytes again, or throws DecodeError', () => {
    const mutated = fc.tuple(anyDescription, fc.nat(), fc.nat(255)).map(([description, at, byte]) => {
      const bytes = encodeDescription(description)
      bytes[at % bytes.length] = byte
      return bytes
    })
    const lengthened = fc
      .tuple(anyDescription, fc.uint8Array({ minLength: 1, maxLength: 3 }))
      .map(([description, more]) => concatBytes(encodeDescription(description), more))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated, lengthened), (bytes) => {
        expect([bytesToHex(bytes), 'DecodeError']).toContain(roundTrip(bytes))
      }),
      { numRuns: 1500 },
    )
  })

  const bytes = encodeDescription(DAILY)
  const patched = (at: number, byte: number): Uint8Array => {
    const copy = Uint8Array.from(bytes)
    copy[at] = byte
    return copy
  }
  it.each([
    ['another version', patched(0, 2), '/v'],
    ['a name that is not UTF-8', patched(2, 0xff), '/name'],
    ['an unknown mode', patched(7, 3), '/mode/type'],
    ['an unknown timing', patched(8, 4), '/mode/when/kind'],
    ['an unknown missed policy', patched(19, 3), '/mode/missed/mode'],
    ['a flag that is neither 0 nor 1', patched(bytes.length - 65, 2), '/onRevert/thenPause'],
    ['one byte more', concatBytes(bytes, Uint8Array.of(0)), ''],
    ['one byte less', bytes.subarray(0, -1), '/funding/attestationFee'],
    ['nothing', new Uint8Array(0), '/v'],
    ['more than the limit', new Uint8Array(DESCRIPTION_BYTES_MAX + 1), ''],
  ])('refuses %s', (_, input, path) => {
    expect(() => decodeDescription(input)).toThrow(expect.objectContaining({ code: 'DESCRIPTION_INVALID', path }))
  })

  it.each([
    ['a time beyond six bytes', { ...DAILY, limits: { ...DAILY.limits, expiresAtMs: 2 ** 48 } }, '/limits/expiresAt'],
    ['a fraction', { ...DAILY, limits: { ...DAILY.limits, maxFires: 1.5 } }, '/limits/maxFires'],
    ['a negative amount', { ...DAILY, funding: { ...DAILY.funding, tipWei: -1n } }, '/funding/tip'],
    ['a short address', { ...DAILY, action: { ...DAILY.action, to: '0x12' as const } }, '/action/to'],
    ['arity that differs', { ...DAILY, action: { ...DAILY.action, types: ['bool'] } }, '/action/args'],
    [
      'a description too long',
      withMode({
        type: 'event',
        when: { kind: 'view', to: DAILY.action.to, data: new Uint8Array(4000), gasLimit: 1, everyBlocks: 1, edge: 'level' },
      }),
      '',
    ],
  ])('does not encode %s', (_, description, path) => {
    expect(() => encodeDescription(description)).toThrow(expect.objectContaining({ code: 'DESCRIPTION_INVALID', path }))
  })

  it('reads UTF-8 as the platform does and refuses the rest', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 12 }),
          fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(text)),
        ),
        (input) => {
          let expected: string | null
          try {
            expected = strict.decode(input)
          } catch {
            expected = null
          }
          expect(utf8FromBytes(input)).toBe(expected)
        },
      ),
      { numRuns: 800 },
    )
    for (const bad of ['0xc080', '0xeda080', '0xf8808080', '0xf4908080', '0xe282', '0x80'])
      expect(utf8FromBytes(hexToBytes(bad))).toBeNull()
  })
})
