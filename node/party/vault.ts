/**
 * An encrypted, durable key-value store for secrets. Every value is sealed under a key derived from the passphrase, bound to its name; every
 * write is on disk before the call returns. Source: RFC 7914 (scrypt), RFC 8439; docs/dcrm.md, persistence.
 * @module
 */
import { randomBytes, scryptSync } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { concatBytes, equalBytes, utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { open } from 'lmdb'

/** scrypt cost of a new store: 2^17 blocks of 1 KiB, about 0.3 s and 128 MiB for each guess. */
const COST_LOG2 = 17
/** A store that asks for more than 1 GiB was not made here. */
const COST_LOG2_MAX = 20
const NONCE_BYTES = 12
const CHECK = utf8ToBytes('fusion-vault-1')

/** One change of a batch; null removes. */
export type VaultWrite = Readonly<{ name: string; value: Uint8Array | null }>

export type Vault = Readonly<{
  /** The value, or null. @throws {DecodeError} VAULT_CORRUPT when it does not open under its name */
  get: (name: string) => Uint8Array | null
  /** All or nothing, durable when it returns. */
  write: (writes: readonly VaultWrite[]) => void
  /** Names that begin with a prefix, in order. */
  names: (prefix: string) => readonly string[]
  close: () => Promise<void>
}>

function derive(passphrase: string, salt: Uint8Array, costLog2: number): Uint8Array {
  const [N, r] = [2 ** costLog2, 8]
  return new Uint8Array(scryptSync(passphrase.normalize('NFKC'), salt, 32, { N, r, p: 1, maxmem: 256 * N * r }))
}

/**
 * Opens or creates the store in `directory`. A store keeps the cost it was made with.
 * @throws {DecodeError} PASSPHRASE_WRONG when the store was made with another passphrase, PASSPHRASE_SHORT below 12 characters
 */
export function openVault(directory: string, passphrase: string, costLog2 = COST_LOG2): Vault {
  if (passphrase.length < 12)
    throw new DecodeError('PASSPHRASE_SHORT', directory, `expected at least 12 characters, got ${passphrase.length}`)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  // Without overlappingSync a transaction is flushed before it returns; without noMemInit no page carries what the process had in memory.
  const database = open<Buffer, string>({ path: directory, encoding: 'binary', noMemInit: false, overlappingSync: false })
  // Whoever made the folder may have left it open to others.
  chmodSync(directory, 0o700)
  for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o600)
  const put = (name: string, value: Uint8Array): void => {
    database.putSync(name, Buffer.from(value))
  }
  const salt = database.getBinary('!salt') ?? randomBytes(32)
  const cost = Math.min(database.getBinary('!cost')?.[0] ?? costLog2, COST_LOG2_MAX)
  const key = derive(passphrase, salt, cost)
  const seal = (name: string, value: Uint8Array): Uint8Array => {
    const nonce = new Uint8Array(randomBytes(NONCE_BYTES))
    return concatBytes(nonce, nativeEnvelopeCrypto.seal(key, nonce, value, utf8ToBytes(name)))
  }
  const unseal = (name: string, sealed: Uint8Array): Uint8Array | null =>
    nativeEnvelopeCrypto.open(key, sealed.subarray(0, NONCE_BYTES), sealed.subarray(NONCE_BYTES), utf8ToBytes(name))
  const check = database.getBinary('!check')
  if (check === undefined) {
    database.transactionSync(() => {
      put('!salt', salt)
      put('!cost', Uint8Array.of(cost))
      put('!check', seal('!check', CHECK))
    })
  } else {
    const opened = unseal('!check', new Uint8Array(check))
    if (opened === null || !equalBytes(opened, CHECK)) {
      void database.close()
      throw new DecodeError('PASSPHRASE_WRONG', directory, 'expected the passphrase the store was made with')
    }
  }
  return {
    get: (name) => {
      const sealed = database.getBinary(name)
      if (sealed === undefined) return null
      const value = unseal(name, new Uint8Array(sealed))
      if (value === null) throw new DecodeError('VAULT_CORRUPT', name, 'expected a value sealed under this name')
      return value
    },
    write: (writes) => {
      database.transactionSync(() => {
        for (const { name, value } of writes)
          if (value === null) database.removeSync(name)
          else put(name, seal(name, value))
      })
    },
    // Names are ASCII, so the end is above all that begin with the prefix.
    names: (prefix) => [...database.getKeys({ start: prefix, end: `${prefix}\uffff` })],
    close: () => database.close(),
  }
}
