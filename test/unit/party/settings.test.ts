/** Settings of a party's process, above all where others are told to find its relay. @module */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '#node/config.ts'
import { isLocalAddress } from '#node/party/relay-address.ts'
import { PARTY_HELP, readPartySettings } from '#node/party/settings.ts'

let folder: string
let args: readonly string[]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-settings-'))
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const keyFile = file('key', `0x${'42'.repeat(32)}\n`)
  args = [
    '--rpc',
    'http://127.0.0.1:1',
    '--data-dir',
    folder,
    '--operator-key-file',
    keyFile,
    '--passphrase-file',
    file('words', 'a passphrase'),
  ]
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const LONGEST = `https://${'a'.repeat(63)}.example/${'b'.repeat(48)}`

describe('a public URL', () => {
  it('is registered as it was given, and left out when it was not', () => {
    expect(readPartySettings(args, {})).toMatchObject({
      publicUrl: null,
      port: 0,
      operatorKey: `0x${'42'.repeat(32)}`,
      passphrase: 'a passphrase',
    })
    for (const url of [
      'https://relay.example',
      'http://192.0.2.7:9745',
      'https://relay.example/party/7',
      'http://[2001:db8::7]:80/',
      LONGEST,
    ]) {
      expect(readPartySettings([...args, '--public-url', url], {})).toMatchObject({ publicUrl: url })
      expect(readConfig(['--party-public-url', url], {})).toMatchObject({ partyPublicUrl: url })
    }
    expect(PARTY_HELP).toContain('--public-url URL')
  })

  const refused = [
    'relay.example',
    'ftp://relay.example',
    'https://',
    'https://user@relay.example',
    'https://:word@relay.example',
    'https://relay.example/?key=1',
    'https://relay.example/?',
    'https://relay.example/#top',
    'https://relay.example\\v1',
    'https://relay.example/\u001b[2J',
    ' https://relay.example',
    'https://relay.example/é',
    `${LONGEST}b`,
  ]
  it.each(refused)('is refused when others could not use it or should not see it: %j', (url) => {
    expect(() => readPartySettings([...args, '--public-url', url], {})).toThrow(/SETTING_INVALID.*--public-url.*at most 128/)
    expect(() => readConfig([], { FUSION_PARTY_PUBLIC_URL: url })).toThrow(/SETTING_INVALID.*--party-public-url.*at most 128/)
  })

  it('that is empty is an error as an option, and none as a variable', () => {
    expect(() => readPartySettings([...args, '--public-url', ''], {})).toThrow(/SETTING_INVALID.*--public-url/)
    expect(readConfig([], { FUSION_PARTY_PUBLIC_URL: '' })).toMatchObject({ partyPublicUrl: '' })
  })
})

describe('an address', () => {
  it.each([
    'http://127.0.0.1:1',
    'http://127.9.8.7',
    'http://2130706433',
    'http://localhost:9745/',
    'http://a.localhost.',
    'http://[::1]:5',
    'http://0.0.0.0:5',
    'http://[::]:5',
    'http://[::ffff:127.0.0.1]:5',
  ])('of this machine alone is known: %s', (url) => expect(isLocalAddress(url)).toBe(true))
  it.each([
    'http://192.0.2.7',
    'https://relay.example/127.0.0.1',
    'http://127.0.0.1.example',
    'http://localhost.example',
    'http://[2001:db8::1]',
    'http://[::2]',
    'http://128.0.0.1',
  ])('that others can have is not taken for one: %s', (url) => expect(isLocalAddress(url)).toBe(false))
})
