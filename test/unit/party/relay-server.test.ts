/** The relay inside a party, over real HTTP. @module */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { RelayServer } from '#node/party/relay-server.ts'
import { startRelayServer } from '#node/party/relay-server.ts'
import { RELAY_LIMITS } from '#shared/dcrm/relay.ts'
import type { Reach } from '#test/unit/party/relay-table.ts'
import { REGISTERED, envelope, hexOf, list, post, publicKeyOf, relayBehaviour, sessionId } from '#test/unit/party/relay-table.ts'

const KEY = `0x${'ab'.repeat(32)}` as const
const registered = new Map<number, Uint8Array>(REGISTERED.map((id) => [id, publicKeyOf(id)]))
let server: RelayServer
let nowMs = Date.now()
/** Sessions the party of the relay is in. */
const own = new Set<string>()

beforeAll(async () => {
  server = await startRelayServer({
    host: '127.0.0.1',
    port: 0,
    keyOf: (party) => registered.get(party) ?? null,
    isOwn: (openId) => own.has(hexOf(openId)),
    crypto: nativeEnvelopeCrypto,
    backend: createNativeBackend(),
    nowMs: () => nowMs,
    publicKeyOf: (key, epoch) => (key === KEY && epoch === 3 ? '{"epoch":3}' : null),
    status: () => ({ party: 1 }),
  })
})
afterAll(() => server.close())
const reach: Reach = (path, init) => fetch(`${server.url}${path}`, init)

describe('the relay of a party', () => {
  relayBehaviour(reach)

  it('forgets a session an hour after its first envelope', async () => {
    const id = sessionId(0x201)
    await post(reach, id, envelope())
    nowMs += RELAY_LIMITS.lifetimeMs
    expect((await list(reach, id)).envelopes).toHaveLength(1)
    nowMs += 1
    expect((await list(reach, id)).envelopes).toEqual([])
    expect(await post(reach, id, envelope({ payload: Uint8Array.of(9) }))).toEqual([201, 'STORED'])
  })

  it('gives the public part of a key it knows, and tells about itself', async () => {
    const known = await reach(`/v1/keys/${KEY.slice(2)}/3`)
    expect([known.status, await known.text()]).toEqual([200, '{"epoch":3}'])
    for (const path of [`${KEY.slice(2)}/4`, `${'cd'.repeat(32)}/3`]) {
      const unknown = await reach(`/v1/keys/${path}`)
      expect([unknown.status, await unknown.json()]).toEqual([404, { code: 'KEY_UNKNOWN' }])
    }
    expect(await (await reach('/v1/status')).json()).toEqual({ party: 1 })
  })

  it('knows no other path and no other method', async () => {
    expect((await reach('/v1/keys/zz/3')).status).toBe(404)
    expect((await reach('/')).status).toBe(404)
    expect((await reach(`/v1/sessions/${sessionId(1)}/envelopes`, { method: 'DELETE' })).status).toBe(405)
  })

  const isKept = async (seed: number): Promise<boolean> => (await list(reach, sessionId(seed))).envelopes.length > 0

  it('keeps 256 sessions: for one more the oldest goes that this party is not in, and its own oldest when it is in all', async () => {
    nowMs += RELAY_LIMITS.lifetimeMs + 1
    const seeds = Array.from({ length: 256 }, (_, index) => 0x1000 + index)
    for (const seed of seeds) expect((await post(reach, sessionId(seed), envelope()))[0]).toBe(201)
    for (const seed of [0x1000, 0x1001, 0x1003]) own.add(sessionId(seed))
    expect(await post(reach, sessionId(0x2000), envelope())).toEqual([201, 'STORED'])
    expect(await post(reach, sessionId(0x2001), envelope())).toEqual([201, 'STORED'])
    expect(await Promise.all([0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x2000, 0x2001].map(isKept))).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      true,
      true,
    ])
    for (const seed of [...seeds, 0x2000, 0x2001]) own.add(sessionId(seed))
    expect(await post(reach, sessionId(0x2002), envelope())).toEqual([201, 'STORED'])
    expect(await Promise.all([0x1000, 0x1001, 0x2002].map(isKept))).toEqual([false, true, true])
  })
})
