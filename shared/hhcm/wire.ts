/** Gossip encoding of consensus messages: one kind byte, then the object's RLP. Source: docs/protocol.md. @module */
import { concatBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import {
  decodeBlock,
  decodeCertificate,
  decodeCoSignature,
  decodePackage,
  decodeVote,
  encodeBlock,
  encodeCertificate,
  encodeCoSignature,
  encodePackage,
  encodeVote,
} from '#shared/hhcm/codec.ts'
import type { WireMessage } from '#shared/hhcm/types.ts'

const KIND = { package: 1, coSignature: 2, certificate: 3, block: 4, vote: 5 } as const

function body(message: WireMessage): Uint8Array {
  switch (message.kind) {
    case 'package':
      return encodePackage(message.package)
    case 'coSignature':
      return encodeCoSignature(message.coSignature)
    case 'certificate':
      return encodeCertificate(message.certificate)
    case 'block':
      return encodeBlock(message.block)
    case 'vote':
      return encodeVote(message.vote)
  }
}

/** Kind byte ‖ RLP. */
export function encodeWireMessage(message: WireMessage): Uint8Array {
  return concatBytes(Uint8Array.of(KIND[message.kind]), body(message))
}

/** @throws {DecodeError} MESSAGE_KIND for an unknown kind, and whatever the object's decoder throws */
export function decodeWireMessage(bytes: Uint8Array): WireMessage {
  const rest = bytes.subarray(1)
  switch (bytes[0] ?? 0) {
    case KIND.package:
      return { kind: 'package', package: decodePackage(rest) }
    case KIND.coSignature:
      return { kind: 'coSignature', coSignature: decodeCoSignature(rest) }
    case KIND.certificate:
      return { kind: 'certificate', certificate: decodeCertificate(rest) }
    case KIND.block:
      return { kind: 'block', block: decodeBlock(rest) }
    case KIND.vote:
      return { kind: 'vote', vote: decodeVote(rest) }
    default:
      throw new DecodeError('MESSAGE_KIND', 'message', 'unknown kind of consensus message')
  }
}
