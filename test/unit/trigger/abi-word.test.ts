/** ABI subset against viem's encoder. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { literalContent, literalText } from '#shared/api/trigger-literal.ts'
import { encodeAbiCall, integerWord, isWordOf, parseAbiType, signedInteger } from '#shared/trigger/abi-word.ts'
import type { AbiType } from '#shared/trigger/abi-word.ts'
import { encodeAbiParameters } from 'viem'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const type = (name: string): AbiType => parseAbiType(name) ?? { kind: 'bytes' }

describe('ABI types', () => {
  it('knows the one-word static types and bytes, by canonical name', () => {
    expect(['uint8', 'uint256', 'int192', 'address', 'bool', 'bytes', 'bytes1', 'bytes32'].map(parseAbiType)).toEqual([
      { kind: 'uint', bits: 8 },
      { kind: 'uint', bits: 256 },
      { kind: 'int', bits: 192 },
      { kind: 'address' },
      { kind: 'bool' },
      { kind: 'bytes' },
      { kind: 'fixedBytes', length: 1 },
      { kind: 'fixedBytes', length: 32 },
    ])
  })

  it.each(['uint', 'int', 'uint7', 'uint264', 'uint0', 'uint08', 'bytes0', 'bytes33', 'string', 'uint256[]', '', 'Bool', 'tuple'])(
    'refuses %j',
    (name) => {
      expect(parseAbiType(name)).toBeNull()
    },
  )

  it('lays out heads and tails as viem does', () => {
    const names = ['uint256', 'int64', 'address', 'bool', 'bytes4', 'bytes'] as const
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        fc.boolean(),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ maxLength: 80 }),
        (amount, delta, address, flag, four, tail) => {
          const literals = [amount.toString(), delta.toString(), bytesToHex(address), flag, bytesToHex(four), bytesToHex(tail)]
          const values = literals.map((literal, index) => ({
            type: type(names[index] ?? ''),
            content: literalContent(type(names[index] ?? ''), literal) ?? new Uint8Array(0),
          }))
          const expected = encodeAbiParameters(
            names.map((name) => ({ type: name })),
            [amount, delta, bytesToHex(address), flag, bytesToHex(four), bytesToHex(tail)],
          )
          expect(bytesToHex(encodeAbiCall(hexToBytes('0xdeadbeef'), values))).toBe(`0xdeadbeef${expected.slice(2)}`)
          expect(values.map((value) => literalText(value.type, value.content))).toEqual(literals)
        },
      ),
      { numRuns: 100 },
    )
  })

  it.each([
    ['uint8', '256'],
    ['uint8', '-1'],
    ['uint8', '01'],
    ['uint8', '0x01'],
    ['uint8', ''],
    ['uint8', '1e2'],
    ['uint256', `${2n ** 256n}`],
    ['uint256', '9'.repeat(78)],
    ['int8', '128'],
    ['int8', '-129'],
    ['int256', `${2n ** 255n}`],
    ['int256', `${-(2n ** 255n) - 1n}`],
    ['address', `0x${'11'.repeat(19)}`],
    ['address', `0x${'AA'.repeat(20)}`],
    ['bytes4', '0x112233'],
    ['bytes4', '0x1122334455'],
    ['bytes', '0x1'],
    ['bytes', 'ff'],
    ['bool', 'true'],
    ['uint8', true],
  ])('has no %s for %j', (name, literal) => {
    expect(literalContent(type(name), literal)).toBeNull()
  })

  it('tells words of a type from others', () => {
    const word = (value: bigint): Uint8Array => integerWord(value)
    expect(isWordOf(type('uint8'), word(255n))).toBe(true)
    expect(isWordOf(type('uint8'), word(256n))).toBe(false)
    expect(isWordOf(type('int8'), word(-128n))).toBe(true)
    expect(isWordOf(type('int8'), word(-129n))).toBe(false)
    expect(isWordOf(type('int8'), word(128n))).toBe(false)
    expect(isWordOf(type('bool'), word(1n))).toBe(true)
    expect(isWordOf(type('bool'), word(2n))).toBe(false)
    expect(isWordOf(type('address'), word(2n ** 160n - 1n))).toBe(true)
    expect(isWordOf(type('address'), word(2n ** 160n))).toBe(false)
    expect(isWordOf(type('bytes2'), hexToBytes(`0x1122${'00'.repeat(30)}`))).toBe(true)
    expect(isWordOf(type('bytes2'), hexToBytes(`0x112233${'00'.repeat(29)}`))).toBe(false)
    expect(isWordOf(type('bytes'), word(1n))).toBe(false)
    expect(isWordOf(type('uint8'), Uint8Array.of(1))).toBe(false)
    expect(signedInteger(word(-5n))).toBe(-5n)
    expect(() => integerWord(2n ** 256n)).toThrow(RangeError)
    expect(() => integerWord(-(2n ** 255n) - 1n)).toThrow(RangeError)
  })
})
