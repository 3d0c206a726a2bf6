/** The edge's relay of signing sessions: a real Durable Object with its storage, alarm and hibernating sockets. @module */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { RELAY_LIMITS } from '#shared/dcrm/relay.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import { FakeChain } from '#test/workers/fake-chain.ts'
import type { Reach } from '#test/unit/party/relay-table.ts'
import { REGISTERED, envelope, hexOf, list, post, proof, publicKeyOf, relayBehaviour, sessionId } from '#test/unit/party/relay-table.ts'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeFunctionData, encodeAbiParameters, getAbiItem, zeroAddress, zeroHash } from 'viem'

const partiesAbi = getAbiItem({ abi: keyManagerAbi, name: 'parties' })
const ZEROES: Readonly<Record<string, unknown>> = { address: zeroAddress, bytes32: zeroHash, string: '' }
/** A row as the chain gives it; the relay looks at number and key only. */
const partyRow = (id: number) => ({
  ...Object.fromEntries(partiesAbi.outputs[0].components.map(({ name, type }) => [name, ZEROES[type] ?? 0n])),
  id,
  signKey: `0x${hexOf(publicKeyOf(id))}`,
})

const chain = new FakeChain(Date.now())
const registered: number[] = [...REGISTERED]
chain.ethCall = ({ to, data }) => {
  const asked = decodeFunctionData({ abi: keyManagerAbi, data })
  if (to !== KEY_MANAGER || asked.functionName !== 'parties') throw new Error('another question')
  const [after, count] = asked.args
  const page = registered.filter((id) => id > after).slice(0, count)
  return encodeAbiParameters(partiesAbi.outputs, [page.map((id) => partyRow(id))] as never)
}

beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
})
afterEach(() => {
  chain.isAway = false
})

const reach: Reach = (path, init) => exports.default.fetch(`http://edge${path}`, init as never) as never
const object = (id: string) => env.SIGNING.get(env.SIGNING.idFromName(id))

/** A socket that keeps what it gets. */
async function listen(id: string, query: string, proven: string | null = null) {
  const headers = { upgrade: 'websocket', ...(proven === null ? {} : { 'fusion-proof': proven }) }
  const response = await exports.default.fetch(`http://edge/v1/sessions/${id}/socket${query}`, { headers })
  expect(response.status).toBe(101)
  const socket = response.webSocket
  if (socket === null) throw new Error('there is no socket')
  const frames: string[] = []
  const texts: unknown[] = []
  const closed = new Promise<CloseEvent>((done) => socket.addEventListener('close', done))
  socket.binaryType = 'arraybuffer'
  socket.addEventListener('message', ({ data }) => {
    if (typeof data === 'string') texts.push(data)
    else frames.push(hexOf(new Uint8Array(data as ArrayBuffer)))
  })
  socket.accept()
  return { socket, frames, texts, closed }
}
const frame = (cursor: number, bytes: Uint8Array): string => cursor.toString(16).padStart(8, '0') + hexOf(bytes)

describe("the edge's relay", () => {
  relayBehaviour(reach)

  it('keeps its envelopes and cursors when it is evicted', async () => {
    const id = sessionId(0x301)
    await post(reach, id, envelope())
    await evictDurableObject(object(id))
    expect(await post(reach, id, envelope())).toEqual([200, 'SAME'])
    expect(await post(reach, id, envelope({ payload: Uint8Array.of(8) }))).toEqual([409, 'TAKEN'])
    await post(reach, id, envelope({ from: 2 }))
    expect((await list(reach, id)).envelopes.map(({ cursor }) => cursor)).toEqual([1, 2])
  })

  it('forgets a session by its alarm an hour after the first envelope, and opens it anew for whoever comes then', async () => {
    const id = sessionId(0x302)
    const beforeMs = Date.now()
    await post(reach, id, envelope())
    const alarmMs = await runInDurableObject(object(id), (_, state) => state.storage.getAlarm())
    expect(alarmMs).toBeGreaterThanOrEqual(beforeMs + RELAY_LIMITS.lifetimeMs)
    expect(alarmMs).toBeLessThan(Date.now() + RELAY_LIMITS.lifetimeMs + 1)
    await post(reach, id, envelope({ from: 2 }))
    expect(await runInDurableObject(object(id), (_, state) => state.storage.getAlarm())).toBe(alarmMs)
    const { closed } = await listen(id, '')
    expect(await runDurableObjectAlarm(object(id))).toBe(true)
    expect((await closed).code).toBe(1001)
    expect(await list(reach, id)).toEqual({ envelopes: [], next: 0, rounds: [] })
    expect(await runDurableObjectAlarm(object(id))).toBe(false)
    expect(await post(reach, id, envelope({ payload: Uint8Array.of(5) }))).toEqual([201, 'STORED'])
    expect(await runInDurableObject(object(id), (_, state) => state.storage.getAlarm())).not.toBeNull()
  })

  it('leaves nothing behind for sessions that are only asked for, or sent rubbish', async () => {
    const id = sessionId(0x303)
    await list(reach, id)
    await post(reach, id, envelope({ from: 9 }))
    const left = await runInDurableObject(object(id), async (_, { storage }) => ({
      alarm: await storage.getAlarm(),
      tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    }))
    expect(left).toEqual({ alarm: null, tables: [] })
  })

  it('asks the chain once for all who come together, and again for a party registered since', async () => {
    const id = sessionId(0x304)
    const before = chain.calls.get('eth_call') ?? 0
    const codes = await Promise.all(REGISTERED.map((from) => post(reach, id, envelope({ from }))))
    expect(codes).toEqual(REGISTERED.map(() => [201, 'STORED']))
    expect((chain.calls.get('eth_call') ?? 0) - before).toBe(1)
    expect(await post(reach, id, envelope({ from: 4 }))).toEqual([422, 'SENDER_UNKNOWN'])
    expect((chain.calls.get('eth_call') ?? 0) - before).toBe(1)
    registered.push(4)
    await new Promise((done) => setTimeout(done, 3100))
    expect(await post(reach, id, envelope({ from: 4 }))).toEqual([201, 'STORED'])
    registered.pop()
  })

  it('knows parties however many have registered and left before', async () => {
    registered.push(...Array.from({ length: 250 }, (_, index) => 100 + index))
    await new Promise((done) => setTimeout(done, 3100))
    expect(await post(reach, sessionId(0x306), envelope({ from: 349 }))).toEqual([201, 'STORED'])
    registered.splice(REGISTERED.length)
  })

  it('blames the chain, not the sender, when no validator answers', async () => {
    const id = sessionId(0x305)
    chain.isAway = true
    expect(await post(reach, id, envelope())).toEqual([503, 'CHAIN_UNREACHABLE'])
    chain.isAway = false
    expect(await post(reach, id, envelope())).toEqual([201, 'STORED'])
  })
})

describe('a socket', () => {
  it('gets what is there after its cursor, then what comes, for its party only and each once', async () => {
    const id = sessionId(0x401)
    const all = [envelope(), envelope({ from: 2 }), envelope({ from: 3, kind: 'direct', to: 1 })]
    for (const bytes of all) await post(reach, id, bytes)
    const first = await listen(id, '?to=1&after=1')
    const whole = await listen(id, '')
    const [secret, own] = [envelope({ kind: 'direct', to: 2 }), envelope({ from: 2, kind: 'direct', to: 1 })]
    await post(reach, id, secret)
    await post(reach, id, own)
    await post(reach, id, own)
    const [, second, third] = all.map((bytes, index) => frame(index + 1, bytes))
    await vi.waitFor(() => expect(whole.frames).toHaveLength(5))
    expect(first.frames).toEqual([second, third, frame(5, own)])
  })

  it('survives that its object is evicted, and misses nothing', async () => {
    const id = sessionId(0x402)
    const { socket, frames, texts } = await listen(id, '?to=2')
    await post(reach, id, envelope())
    await evictDurableObject(object(id))
    await post(reach, id, envelope({ from: 3 }))
    await vi.waitFor(() => expect(frames).toEqual([frame(1, envelope()), frame(2, envelope({ from: 3 }))]))
    socket.send('ping')
    await vi.waitFor(() => expect(texts).toEqual(['pong']))
  })

  it('is for listening: what it sends closes it, and others go on', async () => {
    const id = sessionId(0x403)
    const [talker, other] = [await listen(id, ''), await listen(id, '')]
    talker.socket.send(envelope())
    expect((await talker.closed).code).toBe(1003)
    expect(await post(reach, id, envelope())).toEqual([201, 'STORED'])
    await vi.waitFor(() => expect(other.frames).toHaveLength(1))
  })

  it("that is closing is in nobody's way", async () => {
    const id = sessionId(0x406)
    await listen(id, '')
    const status = await runInDurableObject(object(id), async (relay, state) => {
      for (const socket of state.getWebSockets()) socket.close(1000)
      const body = Uint8Array.from(envelope())
      const headers = { 'fusion-proof': proof(1, 'post', id, body) }
      return (await relay.fetch(new Request(`http://edge/v1/sessions/${id}/envelopes`, { method: 'POST', body, headers }))).status
    })
    expect(status).toBe(201)
  })

  it('is one of at most 256 of a session', async () => {
    const id = sessionId(0x405)
    const sockets = await Promise.all(Array.from({ length: 256 }, () => listen(id, '')))
    const more = await reach(`/v1/sessions/${id}/socket`, { headers: { upgrade: 'websocket' } })
    expect([more.status, await more.json()]).toEqual([503, { code: 'RELAY_FULL' }])
    sockets[0]?.socket.close(1000)
    await vi.waitFor(async () => {
      const again = await reach(`/v1/sessions/${id}/socket`, { headers: { upgrade: 'websocket' } })
      expect(again.status).toBe(101)
    })
  })

  it('of a registered party is never refused because of strangers, who go first, and takes the place of its last one', async () => {
    const id = sessionId(0x407)
    const listening = (party: number) => listen(id, `?to=${party}`, proof(party, 'listen', id, party))
    const [second, third] = [await listening(2), await listening(3)]
    const strangers = await Promise.all(Array.from({ length: 254 }, () => listen(id, '?to=1')))
    const left = Promise.race(strangers.map(({ closed }) => closed))
    await listening(1)
    expect((await left).code).toBe(1013)
    const [again] = await Promise.all([listening(2), second.closed.then(({ code }) => expect(code).toBe(1013))])
    await post(reach, id, envelope())
    await vi.waitFor(() => expect([again.frames, third.frames].map(({ length }) => length)).toEqual([1, 1]))
    expect(await runInDurableObject(object(id), (_, state) => state.getWebSockets().length)).toBe(256)
  })

  it('is a stranger without a proof of its own for this session', async () => {
    const id = sessionId(0x408)
    await Promise.all(Array.from({ length: 256 }, () => listen(id, '')))
    for (const [query, proven] of [
      ['', proof(1, 'listen', id, 1)],
      ['?to=1', ''],
      ['?to=1', proof(2, 'listen', id, 1)],
      ['?to=1', proof(1, 'listen', sessionId(0x407), 1)],
      ['?to=2', proof(1, 'listen', id, 1)],
      ['?to=9', proof(9, 'listen', id, 9)],
    ] as const) {
      const answer = await reach(`/v1/sessions/${id}/socket${query}`, { headers: { upgrade: 'websocket', 'fusion-proof': proven } })
      expect([query, answer.status]).toEqual([query, 503])
    }
    await listen(id, '?to=1', proof(1, 'listen', id, 1))
  })

  it('is refused with a wrong query, and to clients that want no socket', async () => {
    const path = `/v1/sessions/${sessionId(0x404)}/socket`
    expect((await reach(path)).status).toBe(426)
    const wrong = await reach(`${path}?to=x`, { headers: { upgrade: 'websocket' } })
    expect([wrong.status, await wrong.json()]).toEqual([400, { code: 'PARTY_INVALID' }])
  })
})
