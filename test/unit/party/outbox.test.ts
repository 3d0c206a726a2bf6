/** What is told to the chain, how often, and until when. @module */
import { describe, expect, it, vi } from 'vitest'
import type { Fields, Logger } from '#node/log.ts'
import type { Board } from '#node/party/chain-view.ts'
import { NOT_YET, Outbox } from '#node/party/outbox.ts'

const BOARD = { height: 1 } as unknown as Board

function world() {
  const clock = { nowMs: 1000 }
  const lines: string[] = []
  const note = (event: string, fields: Fields = {}): void => void lines.push(`${event} ${JSON.stringify(fields)}`)
  const log: Logger = { debug: note, info: note, warn: note, error: note, close: () => undefined }
  return { clock, lines, outbox: new Outbox(log, () => clock.nowMs) }
}
const settled = (): Promise<void> => new Promise((done) => setImmediate(done))

describe('an outbox', () => {
  it('sends when it is due, again only when the final chain had time to show it, and never what is not wanted any more', async () => {
    const { clock, outbox } = world()
    const send = vi.fn<() => Promise<null>>(() => Promise.resolve(null))
    let isWanted = true
    outbox.put('word', { isWanted: () => isWanted, notBeforeMs: 1001, send })
    outbox.tell(BOARD)
    expect(send).toHaveBeenCalledTimes(0)
    for (const [nowMs, times] of [
      [1001, 1],
      [16_000, 1],
      [16_001, 2],
    ] as const) {
      clock.nowMs = nowMs
      outbox.tell(BOARD)
      await settled()
      expect(send).toHaveBeenCalledTimes(times)
    }
    isWanted = false
    clock.nowMs = 60_000
    outbox.tell(BOARD)
    await settled()
    expect(send).toHaveBeenCalledTimes(2)
    expect(outbox.isEmpty).toBe(true)
  })

  it('sends one of a name at a time, and goes on after a failure', async () => {
    const { lines, outbox } = world()
    let fail: (cause: Error) => void = () => undefined
    const first = vi.fn<() => Promise<null>>(() => new Promise<null>((_, reject) => (fail = reject)))
    const second = vi.fn<() => Promise<string>>(() => Promise.resolve('NothingToDo'))
    outbox.once('word', first)
    outbox.once('word', second)
    expect([first.mock.calls.length, second.mock.calls.length, outbox.isEmpty]).toEqual([1, 0, false])
    fail(new Error('gone\nhttp://user:secret@host/'))
    await settled()
    outbox.once('word', second)
    await settled()
    outbox.once('word', () => Promise.resolve(NOT_YET))
    await settled()
    expect(lines).toEqual(['send-failed {"name":"word","cause":"gone"}', 'sent {"name":"word","refusal":"NothingToDo"}'])
    expect(outbox.isEmpty).toBe(true)
  })

  it('is no sooner for being asked again', async () => {
    const { clock, outbox } = world()
    const send = vi.fn<() => Promise<null>>(() => Promise.resolve(null))
    const lease = { isWanted: () => true, notBeforeMs: 0, send }
    outbox.ensure('lease', lease)
    outbox.tell(BOARD)
    await settled()
    outbox.ensure('lease', lease)
    clock.nowMs = 15_999
    outbox.tell(BOARD)
    await settled()
    expect(send).toHaveBeenCalledTimes(1)
    outbox.put('lease', lease)
    outbox.tell(BOARD)
    await settled()
    expect(send).toHaveBeenCalledTimes(2)
  })
})
