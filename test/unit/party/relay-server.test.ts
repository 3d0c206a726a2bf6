/** The relay inside a party, over real HTTP. @module */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { RelayServer } from '#node/party/relay-server.ts'
import { startRelayServer } from '#node/party/relay-server.ts'
import { RELAY_LIMITS } from '#shared/dcrm/relay.ts'
import type { Reach } from '#test/unit/party/relay-table.ts'
import { REGISTERED, envelope, list, post, publicKeyOf, relayBehaviour, sessionId } from '#test/unit/party/relay-table.ts'

const KEY = `0x${'ab'.repeat(32)}` as const
const registered = new Map<number, Uint8Array>(REGISTERED.map((id) => [id, publicKeyOf(id)]))
let server: RelayServer
let nowMs = Date.now()

beforeAll(async () => {
  server = await startRelayServer({
    host: '127.0.0.1',
    port: 0,
    keyOf: (party) => registered.get(party) ?? null,
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

  it('keeps a bounded number of sessions', async () => {
    nowMs += RELAY_LIMITS.lifetimeMs + 1
    for (let seed = 0; seed < 256; seed++) expect((await post(reach, sessionId(0x1000 + seed), envelope()))[0]).toBe(201)
    expect(await post(reach, sessionId(0x2000), envelope())).toEqual([503, 'RELAY_FULL'])
    expect(await post(reach, sessionId(0x1000), envelope())).toEqual([200, 'SAME'])
  })
})
