/** Key file of a validator: operator account and consensus key, readable by its owner only. @module */
import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { privateKeyToAddress } from 'viem/accounts'
import * as z from 'zod'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Address, Hex } from '#shared/types.ts'
import { publicBytesOf } from '#node/crypto-native.ts'

export type ValidatorKeys = Readonly<{
  address: Address
  /** secp256k1 private key of the operator account. */
  operatorKey: Hex
  /** 32-byte Ed25519 seed. */
  consensusSeed: Uint8Array
  /** 32-byte Ed25519 public key. */
  consensusKey: Hex
}>

const secret = z.string().regex(/^0x[0-9a-f]{64}$/)
const schema = z.strictObject({ version: z.literal(1), operatorKey: secret, consensusSeed: secret })

function fromSecrets(operatorKey: Uint8Array, consensusSeed: Uint8Array): ValidatorKeys {
  const key = bytesToHex(operatorKey)
  const address = bytesToHex(hexToBytes(privateKeyToAddress(key)))
  return { address, operatorKey: key, consensusSeed, consensusKey: bytesToHex(publicBytesOf(consensusSeed)) }
}

/** Fresh keys from the host's randomness. */
export const createKeys = (): ValidatorKeys => fromSecrets(randomBytes(32), randomBytes(32))

/** Writes a new file with mode 0600. @throws when it exists: a key is never overwritten */
export function writeKeys(path: string, keys: ValidatorKeys): void {
  const content = { version: 1, operatorKey: keys.operatorKey, consensusSeed: bytesToHex(keys.consensusSeed) }
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
}

/**
 * Keys of a file, null when there is none. The message of an error never holds any content.
 * @throws {DecodeError} KEY_FILE_INVALID, KEY_FILE_OPEN when others may read it
 */
export function readKeys(path: string): ValidatorKeys | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cause
  }
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    throw new DecodeError('KEY_FILE_OPEN', path, 'others may read the file; run chmod 600 on it')
  try {
    const content = schema.parse(JSON.parse(text))
    return fromSecrets(hexToBytes(content.operatorKey), hexToBytes(content.consensusSeed))
  } catch {
    throw new DecodeError('KEY_FILE_INVALID', path, 'expected version 1 with operatorKey and consensusSeed, 32 bytes each')
  }
}
