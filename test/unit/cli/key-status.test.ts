/** What commands about keys show of parties, members, orders and stock, and whom they believe about it. @module */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Route } from '../sdk/fake-edge.ts'
import type { Views } from './fake-keys.ts'
import { KEY, OPERATION, REQUEST, Turns, keyRow, operationRow, partyRow, requestRow, startFakeKeys } from './fake-keys.ts'

let close: () => Promise<void> = () => Promise.resolve()
afterEach(() => close())

describe('looking', { timeout: 20_000 }, () => {
  const parties = (url: string) => [
    partyRow(1, url),
    { ...partyRow(2, `${url}/two`), absences: 2, generation: 5n },
    { ...partyRow(3, 'http://127.0.0.1:9'), excludedAt: 40n },
    partyRow(4, 'http://127.0.0.1:9'),
  ]
  const told =
    (party: number): Route =>
    () => ({ json: { party, presignatures: { [KEY]: 6, [OPERATION]: 1 }, sessions: ['a', 'b'], finalHeight: 3 } })
  const routes = { 'GET /v1/status': told(1), 'GET /two/v1/status': told(9) }
  const views: Views = {
    openOperations: [{ ...operationRow, kind: 2, attempt: 1, members: [1, 2], dealers: [3, 4], confirmations: 2 }],
    pendingSignatures: [
      { ...requestRow, excluded: [2] },
      { ...requestRow, id: OPERATION, key: OPERATION },
    ],
    disputesOf: [(1 << 16) | 4],
    health: [3n, 2n, 1n],
    keys: [keyRow],
  }

  async function network(known: Views) {
    const started = await startFakeKeys(known, routes)
    close = started.close
    known['parties'] = parties(started.edgeUrl)
    return started
  }

  it('shows a key: members with their conduct and stock, disputes, health and what waits', async () => {
    const { run } = await network({ ...views, keyOf: { ...keyRow, members: [1, 2, 4] } })
    const { out, error } = await run(['status', KEY])
    expect(error).toBe('')
    expect(out).toMatch(/state: +active, ecdsa, 3 of 3, epoch 4/)
    expect(out).toMatch(/reshare open: +seated, attempt 1, committee 1, 2, dealt by 3, 4, confirmed by 2/)
    expect(out).toContain('1 accuses 4')
    expect(out).toContain('3 can sign together, 2 must; new holders are ordered at 3')
    expect(out).toMatch(new RegExp(`signatures waiting: +${REQUEST}\n`))
    expect(out).toMatch(/^ +1 +0 {2}- +1 +6 +2 /m)
    // Another party answers there, so nothing it says counts.
    expect(out).toMatch(/^ +2 +2 {2}- +5 +away +away /m)
    expect(out).toMatch(/^ +4 +0 {2}- +1 +away +away /m)
    expect(out).not.toContain('block 40')
  })

  it('shows the network: every party, and what waits for any key', async () => {
    const { run } = await network({ ...views })
    const { out, error } = await run(['status'])
    expect(error).toBe('')
    expect(out).toMatch(/parties: +4\nkeys: +1\n/)
    expect(out).toContain(`confirmed by 2, key ${KEY}`)
    expect(out).toMatch(/^ +1 +0 {2}- +1 +7 +2 /m)
    expect(out).toMatch(/^ +3 +0 {2}block 40 +1 +away/m)
    const json = JSON.parse((await run(['status', '--json'])).out) as Record<string, unknown>
    expect(json).toMatchObject({
      keys: 1,
      parties: [{ party: 1, presignatures: 7, sessions: ['a', 'b'] }, { party: 2, presignatures: null }, { excludedAt: 40 }, {}],
      operations: [{ operation: OPERATION, kind: 'reshare', confirmedBy: [2], attempt: 1 }],
      pending: [{ request: REQUEST, excluded: [2] }, { request: OPERATION }],
    })
  })

  it('shows nothing of what parties registered as anything but text, and takes no more from them than a status', async () => {
    let isClosed = false
    const server = createServer((_, response) => {
      response.on('close', () => (isClosed = true))
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536, 32), () => setImmediate(more))
      }
      more()
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const answer = JSON.stringify({ party: 3, presignatures: {}, sessions: [] })
    const acting = 'http://127.0.0.1:9/\u001b]0;x\u0007\u009b2J\n   9         0  -  \u202e'
    const known: Views = { ...views }
    const { run } = await network(known)
    known['parties'] = [
      partyRow(1, acting),
      partyRow(2, `http://127.0.0.1:${(server.address() as AddressInfo).port}`),
      partyRow(3, `data:application/json,${encodeURIComponent(answer)}#`),
    ]
    const { out, error } = await run(['status'])
    expect(error).toBe('')
    expect(out).toContain(String.raw`http://127.0.0.1:9/\u001b]0;x\u0007\u009b2J\u000a   9         0  -  \u202e`)
    for (const party of [2, 3]) expect(out).toMatch(new RegExp(`^ +${party} +0 {2}- +1 +away +away `, 'm'))
    await vi.waitFor(() => expect(isClosed).toBe(true))
    const json = await run(['status', '--json'])
    expect([out, json.out].join('').match(/[^\n\P{Cc}]|\u202e/u)).toBeNull()
    expect(JSON.parse(json.out)).toMatchObject({ parties: [{ relayUrl: acting }, { party: 2 }, { party: 3 }] })
    server.close()
    server.closeAllConnections()
  })

  it('lists keys over pages', async () => {
    const many = Array.from({ length: 50 }, () => keyRow)
    const { run } = await network({ keys: new Turns(many, [{ ...keyRow, scheme: 2, state: 1, members: [] }]) })
    const { out } = await run(['list'])
    expect(out.split('\n')).toHaveLength(2 + 51 + 1)
    expect(out).toMatch(/^key +scheme +state +signers +epoch$/m)
    expect(out).toMatch(new RegExp(`^${KEY} +ed25519 +pending +3 of 0 +4$`, 'm'))
    await close()
    const none = await network({ keys: [] })
    expect((await none.run(['list'])).out).toBe('no keys yet; make one with fusion key create\n')
  })
})
