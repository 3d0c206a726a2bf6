/** Known attacks on threshold keys, each with the test that stands against it. Source: docs/dcrm.md, known attacks. @module */
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hashToScalar } from '#shared/dcrm/hash.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'

const root = resolve(import.meta.dirname, '../../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')
const UNIT = 'test/unit/dcrm'

/** Attack, file, and words of the test's name. */
const CATALOGUE: readonly (readonly [number, string, string])[] = [
  [1, `${UNIT}/dkg.test.ts`, '1 threshold raising'],
  [2, `${UNIT}/dkg.test.ts`, '2 rogue keys'],
  [3, 'test/property/dkg-bias.test.ts', '3 key bias by late abort'],
  [4, 'test/unit/dcrm/dkg.test.ts', '4 share indices'],
  [5, `${UNIT}/foundation.test.ts`, '5 hashing, against ambiguous concatenation'],
  [6, `${UNIT}/catalogue.test.ts`, '6 challenges are of full size'],
  [7, `${UNIT}/catalogue.test.ts`, '7 no Paillier'],
  [8, 'test/unit/party/stores.test.ts', '8 of a failed attempt'],
  [9, `${UNIT}/ot-extension.test.ts`, '9 selective failure'],
  [10, `${UNIT}/session-intake.test.ts`, 'two different signed messages for one place'],
  [11, `${UNIT}/session-replay.test.ts`, 'of a whole session into one of another attempt or epoch'],
  [12, `${UNIT}/envelope.test.ts`, '12 has a key of its own'],
  [13, `${UNIT}/domains.test.ts`, '13 one name, one evaluation'],
  [14, `${UNIT}/base-ot.test.ts`, '14 devious transfer'],
  [15, `${UNIT}/dkg-payloads.test.ts`, '15 a payload'],
  [16, 'test/unit/party/stores.test.ts', '16 presignatures'],
  [17, `${UNIT}/ecdsa-sign.test.ts`, 'row 17'],
  [18, `${UNIT}/ecdsa-sign.test.ts`, 'row 18'],
  [19, `${UNIT}/ecdsa-sign.test.ts`, 'row 19'],
  [20, `${UNIT}/ecdsa-sign.test.ts`, 'row 20'],
  [21, `${UNIT}/foundation.test.ts`, '21 refuses Ed25519 points'],
  [22, `${UNIT}/dkg.test.ts`, '22 the Taproot output key'],
  [23, `${UNIT}/session-replay.test.ts`, 'never stops a session, names anybody or throws'],
  [24, `${UNIT}/presign.test.ts`, 'row 24'],
  [25, `${UNIT}/reshare.test.ts`, '25 a dealer that shares something else'],
  [26, `${UNIT}/ot-extension.test.ts`, '26 error path'],
  [27, 'test/property/dkg.test.ts', '27 framing'],
]

describe('the catalogue of known attacks', () => {
  it('has a test for each, which exists under its name', () => {
    expect(CATALOGUE.map(([number]) => number)).toEqual(Array.from({ length: 27 }, (_, index) => index + 1))
    const missing = CATALOGUE.filter(([, file, name]) => !read(file).includes(name))
    expect(missing).toEqual([])
  })
})

describe('attacks that a look at the code answers', () => {
  const sources = readdirSync(join(root, 'shared/dcrm')).map((name) => [name, read(`shared/dcrm/${name}`)] as const)
  it('6 challenges are of full size, and no proof is repeated a number of times', () => {
    const longest = (group: typeof nobleBackend.ed25519): number =>
      Math.max(...Array.from({ length: 64 }, (_, index) => hashToScalar(nobleBackend, group, 'x', index).toString(2).length))
    expect(longest(nobleBackend.secp256k1)).toBeGreaterThan(250)
    expect(longest(nobleBackend.ed25519)).toBeGreaterThan(247)
    expect(sources.filter(([, text]) => /iterations|repetitions/i.test(text)).map(([name]) => name)).toEqual([])
  })
  it('7 no Paillier: neither code nor dependency', () => {
    expect(sources.filter(([, text]) => /paillier/i.test(text)).map(([name]) => name)).toEqual([])
    expect(read('package-lock.json')).not.toMatch(/paillier/i)
  })
})
