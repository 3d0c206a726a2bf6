/**
 * Hashing of EIP-712 structs whose members are all static: one buffer, one hash, no type parsing at run time.
 * Source: EIP-712 (encodeType, encodeData, domain separator), EIP-55 addresses are lower-case here.
 * @module
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

/** The hash a caller brings; validators bring a fast one. */
export type Keccak = Pick<CryptoSuite, 'keccak256'>

type MemberType = 'address' | 'bytes32' | 'uint16' | 'uint64' | 'uint256'
type Member = Readonly<{ name: string; type: MemberType }>
type ValueOf<T extends MemberType> = T extends 'address' | 'bytes32' ? Hex : T extends 'uint16' ? number : bigint

/** A struct type: its members in the form wallets take, and the hash of its type string. */
export type StructType<Members extends readonly Member[]> = Readonly<{ name: string; members: Members; typeHash: Uint8Array }>
/** The values of a struct: hex for addresses and words, numbers for uint16, bigints above. */
export type MessageOf<Members extends readonly Member[]> = Readonly<{
  [M in Members[number] as M['name']]: ValueOf<M['type']>
}>

const WORD = 32
const BITS: Readonly<Record<MemberType, number>> = { address: 160, bytes32: 256, uint16: 16, uint64: 64, uint256: 256 }

/** Declares a struct type from its members in signing order. */
export function structType<const Members extends readonly Member[]>(name: string, members: Members): StructType<Members> {
  const text = `${name}(${members.map((member) => `${member.type} ${member.name}`).join(',')})`
  return { name, members, typeHash: keccak_256(utf8ToBytes(text)) }
}

function writeWord(target: Uint8Array, offset: number, value: Hex | number | bigint, bits: number): void {
  const digits = typeof value === 'string' ? value.slice(2) : value.toString(16)
  invariant(typeof value === 'string' ? digits.length === bits / 4 : value >= 0 && digits.length <= bits / 4, 'struct member has its width')
  target.set(hexToBytes(`0x${digits.padStart(2 * WORD, '0')}`), offset)
}

/** hashStruct of EIP-712. */
export function structHash<Members extends readonly Member[]>(
  type: StructType<Members>,
  message: MessageOf<Members>,
  suite: Keccak,
): Uint8Array {
  const data = new Uint8Array(WORD * (type.members.length + 1))
  data.set(type.typeHash)
  const values = message as Readonly<Record<string, Hex | number | bigint>>
  for (const [index, member] of type.members.entries()) {
    const value = values[member.name]
    invariant(value !== undefined, 'message has every member of its type')
    writeWord(data, WORD * (index + 1), value, BITS[member.type])
  }
  return suite.keccak256(data)
}

const ATTESTATION_DOMAIN = keccak_256(utf8ToBytes('EIP712Domain(string name,string version,bytes32 salt)'))
const CONTRACT_DOMAIN = keccak_256(
  utf8ToBytes('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)'),
)

/** Domain of what is true on every chain: batches, facts, receipts. Bound to the genesis, not to a chain id. */
export const attestationDomain = (genesisHash: Hash) => ({ name: 'Fusion Attestation', version: '1', salt: genesisHash }) as const

/** Separator of `attestationDomain`. */
export function attestationSeparator(genesisHash: Hash, suite: Keccak): Uint8Array {
  const domain = attestationDomain(genesisHash)
  return suite.keccak256(
    concatBytes(
      ATTESTATION_DOMAIN,
      suite.keccak256(utf8ToBytes(domain.name)),
      suite.keccak256(utf8ToBytes(domain.version)),
      hexToBytes(genesisHash),
    ),
  )
}

/** A domain bound to one contract of one chain and to its genesis. */
export type ContractDomain = Readonly<{ name: string; version: string; chainId: number; verifyingContract: Address; salt: Hash }>

/** Separator of a contract's domain. */
export function contractSeparator(domain: ContractDomain, suite: Keccak): Uint8Array {
  const data = new Uint8Array(6 * WORD)
  data.set(CONTRACT_DOMAIN)
  data.set(suite.keccak256(utf8ToBytes(domain.name)), WORD)
  data.set(suite.keccak256(utf8ToBytes(domain.version)), 2 * WORD)
  writeWord(data, 3 * WORD, domain.chainId, 256)
  writeWord(data, 4 * WORD, domain.verifyingContract, 160)
  writeWord(data, 5 * WORD, domain.salt, 256)
  return suite.keccak256(data)
}

/** The digest a key signs: 0x1901 ‖ separator ‖ hashStruct. */
export function typedDigest(separator: Uint8Array, hash: Uint8Array, suite: Keccak): Uint8Array {
  return suite.keccak256(concatBytes(Uint8Array.of(0x19, 0x01), separator, hash))
}
