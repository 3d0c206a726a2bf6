/** Byte layouts against frozen vectors and an independent RLP, and refusal of everything malformed. @module */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { RLP } from '@ethereumjs/rlp'
import { keccak256, toHex } from 'viem'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import {
  decodeBlock,
  decodeHeader,
  decodePackage,
  decodePackageHeader,
  encodeBlock,
  encodeHeader,
  encodePackage,
  encodePackageHeader,
} from '#shared/hhcm/codec.ts'
import { decodeEvidence } from '#shared/hhcm/evidence.ts'
import { blockPayload, coSignaturePayload, certificatePayload, packagePayload, votePayload } from '#shared/hhcm/signing.ts'
import type { WireMessage } from '#shared/hhcm/types.ts'
import { decodeWireMessage, encodeWireMessage } from '#shared/hhcm/wire.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { filler, sampleBlock, sampleCertificate, sampleCoSignature, samplePackage, sampleVote } from '#test/unit/hhcm/samples.ts'

type Frozen = Readonly<{ packageHash: Hash; blockHash: Hash; wire: Record<WireMessage['kind'], Hex>; evidence: Hex }>
const file = path.resolve(import.meta.dirname, '../../vectors/hhcm/encodings.json')
const frozen = JSON.parse(readFileSync(file, 'utf8')) as Frozen

const MESSAGES: Record<WireMessage['kind'], WireMessage> = {
  package: { kind: 'package', package: samplePackage },
  coSignature: { kind: 'coSignature', coSignature: sampleCoSignature },
  certificate: { kind: 'certificate', certificate: sampleCertificate },
  block: { kind: 'block', block: sampleBlock },
  vote: { kind: 'vote', vote: sampleVote },
}
const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof DecodeError) return error.code
    throw error
  }
  return 'accepted'
}

describe('wire encoding', () => {
  it.each(Object.entries(MESSAGES))('of a %s equals the frozen bytes and decodes to the same object', (kind, message) => {
    const bytes = hexToBytes(frozen.wire[kind as WireMessage['kind']])
    expect(bytesToHex(encodeWireMessage(message))).toBe(bytesToHex(bytes))
    expect(decodeWireMessage(bytes)).toEqual(message)
  })

  it('lists package fields as another RLP implementation reads them', () => {
    const decoded = RLP.decode(hexToBytes(frozen.wire.package).subarray(1)) as [Uint8Array[], Uint8Array[]]
    const { header, txs } = samplePackage
    expect(decoded[0].map((field) => toHex(field))).toEqual(
      [toHex(header.slot), toHex(header.lane), '0x', header.parentHash, header.author, header.txRoot, '0x03', '0x06', header.signature].map(
        (field) => (field.length % 2 === 0 ? field : `0x0${field.slice(2)}`),
      ),
    )
    expect(decoded[1]).toEqual(txs)
  })

  it('hashes packages and blocks over the header without its signature', () => {
    const [packageFields] = RLP.decode(hexToBytes(frozen.wire.package).subarray(1)) as [Uint8Array[]]
    expect(keccak256(RLP.encode(packageFields.slice(0, -1)))).toBe(frozen.packageHash)
    const [blockFields] = RLP.decode(hexToBytes(frozen.wire.block).subarray(1)) as [Uint8Array[]]
    expect(blockFields.length).toBe(21)
    expect(keccak256(RLP.encode(blockFields.slice(0, -1)))).toBe(frozen.blockHash)
  })

  it('commits to every byte of the envelope in the header', () => {
    const [, certificates, votes] = RLP.decode(hexToBytes(frozen.wire.block).subarray(1)) as [never, never, never]
    expect(keccak256(RLP.encode(certificates))).toBe(sampleBlock.header.packagesRoot)
    expect(keccak256(RLP.encode(votes))).toBe(sampleBlock.header.votesRoot)
    expect(keccak256(RLP.encode(samplePackage.txs.map((tx) => hexToBytes(keccak256(tx)))))).toBe(samplePackage.header.txRoot)
  })

  it('round-trips single headers, as evidence carries them', () => {
    expect(decodePackageHeader(encodePackageHeader(samplePackage.header))).toEqual(samplePackage.header)
    expect(decodeHeader(encodeHeader(sampleBlock.header))).toEqual(sampleBlock.header)
  })
})

describe('refusals', () => {
  it('an unknown kind and an empty message', () => {
    expect(code(() => decodeWireMessage(Uint8Array.of(9, 0xc0)))).toBe('MESSAGE_KIND')
    expect(code(() => decodeWireMessage(new Uint8Array(0)))).toBe('MESSAGE_KIND')
  })

  it('a package whose transactions do not match count, size or root', () => {
    for (const change of [{ txCount: 2 }, { bytes: 7 }, { txRoot: filler('x', 32) }])
      expect(code(() => decodePackage(encodePackage({ ...samplePackage, header: { ...samplePackage.header, ...change } })))).toBe(
        'PACKAGE_BODY',
      )
  })

  it('a package with a list in place of a transaction', () => {
    const [header] = RLP.decode(encodePackage(samplePackage)) as [Uint8Array[]]
    expect(code(() => decodePackage(RLP.encode([header, [[], [], []]])))).toBe('FIELD_INVALID')
  })

  it('a block whose certificates or votes are not those of its header', () => {
    expect(code(() => decodeBlock(encodeBlock({ ...sampleBlock, certificates: [null, null] })))).toBe('BLOCK_ROOTS')
    expect(code(() => decodeBlock(encodeBlock({ ...sampleBlock, votes: [] })))).toBe('BLOCK_ROOTS')
  })

  it('fields out of range: lane, rank, count, lengths, leading zeros, missing and extra fields', () => {
    const [fields] = RLP.decode(encodePackage(samplePackage)) as [Uint8Array[]]
    const withField = (index: number, bytes: Uint8Array): Uint8Array => RLP.encode(fields.with(index, bytes))
    for (const bytes of [
      withField(1, Uint8Array.of(16)),
      withField(2, Uint8Array.of(100)),
      withField(6, Uint8Array.of(0x10, 0x01)),
      withField(7, Uint8Array.of(0x04, 0x00, 0x01)),
      withField(0, Uint8Array.of(0, 1)),
      withField(4, new Uint8Array(19)),
      withField(8, new Uint8Array(63)),
      RLP.encode(fields.slice(1)),
      RLP.encode([...fields, new Uint8Array(0)]),
    ])
      expect(code(() => decodePackageHeader(bytes))).toBe('FIELD_INVALID')
  })

  it('oversized input before looking at it', () => {
    for (const kind of [2, 3, 4, 5])
      expect(code(() => decodeWireMessage(concatBytes(Uint8Array.of(kind), new Uint8Array(200_000))))).toBe('RLP_TOO_LARGE')
    expect(code(() => decodeWireMessage(concatBytes(Uint8Array.of(1), new Uint8Array(400_000))))).toBe('RLP_TOO_LARGE')
  })

  it('more votes or lanes than a block may have', () => {
    const many = { ...sampleBlock, votes: Array.from({ length: 257 }, () => sampleVote) }
    expect(code(() => decodeBlock(encodeBlock(many)))).toBe('FIELD_INVALID')
    expect(code(() => decodeBlock(encodeBlock({ ...sampleBlock, certificates: Array.from({ length: 17 }, () => null) })))).toBe(
      'FIELD_INVALID',
    )
  })

  it('evidence with an unknown offence', () => {
    expect(decodeEvidence(hexToBytes(frozen.evidence)).offence).toBe('DOUBLE_VOTE')
    expect(code(() => decodeEvidence(encodeRlp([5, filler('o', 20), '0x', '0x'])))).toBe('FIELD_INVALID')
  })

  it('any truncated or bit-flipped message either fails cleanly or decodes to something else', () => {
    const bytes = hexToBytes(frozen.wire.block)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (index, bit) => {
        expect(code(() => decodeWireMessage(bytes.subarray(0, index)))).not.toBe('accepted')
        const flipped = bytes.with(index, (bytes[index] ?? 0) ^ (1 << bit))
        const outcome = code(() => decodeWireMessage(flipped))
        expect(outcome === 'accepted' && isDeepStrictEqual(decodeWireMessage(flipped), MESSAGES.block)).toBe(false)
      }),
    )
  })
})

describe('signing payloads', () => {
  const genesisHash = filler('genesis', 32)
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
  const expected = (tag: string, fields: Uint8Array): string => bytesToHex(concatBytes(utf8(tag), hexToBytes(genesisHash), fields))
  const num = (value: number): Uint8Array =>
    hexToBytes(value === 0 ? '0x' : toHex(value, { size: Math.ceil(value.toString(16).length / 2) }))

  it('are tag, genesis hash and content, one tag per kind', () => {
    const { slot, lane, packageHash } = sampleCoSignature
    const { source, target } = sampleVote
    expect(bytesToHex(packagePayload(genesisHash, samplePackage.hash))).toBe(expected('fusion.package', hexToBytes(samplePackage.hash)))
    expect(bytesToHex(blockPayload(genesisHash, sampleBlock.hash))).toBe(expected('fusion.block', hexToBytes(sampleBlock.hash)))
    expect(bytesToHex(coSignaturePayload(genesisHash, sampleCoSignature))).toBe(
      expected('fusion.co-signature', RLP.encode([num(slot), num(lane), hexToBytes(packageHash)])),
    )
    expect(bytesToHex(certificatePayload(genesisHash, samplePackage.hash, sampleCertificate))).toBe(
      expected(
        'fusion.certificate',
        RLP.encode([num(slot), num(lane), hexToBytes(samplePackage.hash), hexToBytes(sampleCertificate.vrfProof), num(4095)]),
      ),
    )
    expect(bytesToHex(votePayload(genesisHash, sampleVote))).toBe(
      expected(
        'fusion.vote',
        RLP.encode([
          [num(source.slot), hexToBytes(source.blockHash)],
          [num(target.slot), hexToBytes(target.blockHash)],
        ]),
      ),
    )
  })
})
