/** Names of keys and sessions, computed a second time from their description in docs/dcrm.md with the host's own hashes. @module */
import { describe, expect, it } from 'vitest'
import { descriptorHash, keyIdOf, openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { KeyDescriptor } from '#shared/dcrm/types.ts'
import { hashed, hex, seedOf, u64, unhex } from '#test/unit/dcrm/support.ts'

const text = (word: string): Uint8Array => Buffer.from(word)
const subject: SessionSubject = { chainId: 81920, protocol: 'frost', requestId: seedOf('request'), epoch: 3, set: [2, 258], attempt: 4 }
const descriptor: KeyDescriptor = { chainId: 81920, requestId: seedOf('request'), scheme: 'taproot', threshold: 2, members: [1, 2, 258] }

describe('names', () => {
  it('of a session before its nonces cover what it is about', () => {
    expect(unhex(openIdOf(nobleBackend, subject))).toBe(
      hashed('open', u64(81920), text('frost'), seedOf('request'), u64(3), hex('000200020102'), u64(4)),
    )
  })
  it('of a session cover its opening and the nonces of all, with their count', () => {
    const nonces = [seedOf('one'), seedOf('other')]
    const list = Buffer.concat([hex('00000002'), hex('00000020'), seedOf('one'), hex('00000020'), seedOf('other')])
    expect(unhex(sessionIdOf(nobleBackend, seedOf('open'), nonces))).toBe(hashed('sid', seedOf('open'), list))
  })
  it('of a key cover its descriptor and the session that made it', () => {
    const described = hashed('descriptor', u64(81920), seedOf('request'), text('taproot'), u64(2), hex('0003000100020102'))
    expect(unhex(descriptorHash(nobleBackend, descriptor))).toBe(described)
    expect(unhex(keyIdOf(nobleBackend, descriptor, seedOf('sid')))).toBe(hashed('key', hex(described), seedOf('sid')))
  })
})
