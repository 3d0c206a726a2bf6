/** Parties that die in any round of any protocol: nobody is blamed, and the run completes or the next attempt with another set does. @module */
import { describe, expect, it } from 'vitest'
import { KILLABLE, attemptWith } from '#test/sim/dcrm-kill.ts'

describe.each(KILLABLE)('$name', (protocol) => {
  const rounds = Array.from({ length: protocol.rounds + 1 }, (_, round) => round).filter((round) => round > 0 || protocol.hasOpening)
  it.each(rounds)('with parties dying before round %i ends, and names them for nothing but absence', (round) => {
    const ends = [...attemptWith(protocol, 0, round).values()]
    for (const { order, faults, disputes } of ends) {
      expect(order.some((kind) => kind === 'done' || kind === 'aborted')).toBe(true)
      expect(faults.filter(({ class: kind }) => kind !== 'absent')).toEqual([])
      expect(disputes).toEqual([])
    }
  })
  it('completes at the next attempt, with another set where one is drawn', () => {
    for (const [id, { code }] of attemptWith(protocol, 1, null)) expect([protocol.name, id, code]).toEqual([protocol.name, id, null])
  })
})
