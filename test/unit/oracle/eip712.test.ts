/** Every digest equals viem's. @module */
import { keccak_256 } from '@noble/hashes/sha3.js'
import fc from 'fast-check'
import { hashTypedData } from 'viem'
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '#shared/bytes.ts'
import type { Intent } from '#shared/trigger/intents.ts'
import { INTENT_TYPES, intentDigest, intentDomain } from '#shared/trigger/intents.ts'
import type { Hash, Hex } from '#shared/types.ts'

const suite = { keccak256: keccak_256 }
const genesisHash: Hash = `0x${'5a'.repeat(32)}`
const hexOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`)

const samples = { address: hexOf(20), bytes32: hexOf(32), uint64: fc.bigInt(0n, 2n ** 64n - 1n), uint256: fc.bigInt(0n, 2n ** 256n - 1n) }

describe('intents', () => {
  for (const kind of Object.keys(INTENT_TYPES) as (keyof typeof INTENT_TYPES)[])
    it(`hashes ${kind} as EIP-712 prescribes`, () => {
      const type = INTENT_TYPES[kind]
      const message = fc.record(Object.fromEntries(type.members.map((member) => [member.name, samples[member.type]])))
      fc.assert(
        fc.property(message, (values) => {
          const domain = intentDomain(81920, genesisHash)
          const digest = intentDigest({ kind, message: values } as unknown as Intent, domain, suite)
          const expected = hashTypedData({ domain, types: { [kind]: type.members }, primaryType: kind, message: values })
          expect(bytesToHex(digest)).toBe(expected)
        }),
        { numRuns: 20 },
      )
    })

  it('refuses a value wider than its member', () => {
    const message = { owner: `0x${'11'.repeat(20)}`, id: `0x${'22'.repeat(32)}`, relayFeeWei: 0n, nonce: 0n, deadline: 2n ** 64n } as const
    expect(() => intentDigest({ kind: 'Pause', message }, intentDomain(1, genesisHash), suite)).toThrow('struct member has its width')
  })
})
