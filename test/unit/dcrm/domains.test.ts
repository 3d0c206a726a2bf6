/**
 * Domains of every hash in a run of base transfers, extension and VOLE, read back from what was hashed. Secret parts are left out before they
 * are compared, so that only the public name of an evaluation can tell two apart. @module
 */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { voleFinish, voleReceive, voleSend } from '#shared/dcrm/vole.ts'
import { ecdsaTranscripts } from '#test/unit/dcrm/ecdsa-transcripts.ts'
import { keyTranscripts } from '#test/unit/dcrm/key-transcripts.ts'
import { itemsOf, overheard } from '#test/unit/dcrm/hash-items.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const native = createNativeBackend()

/** Which items of a tag are its public name; the others are content. */
const NAME_ITEMS: Readonly<Record<string, readonly number[]>> = {
  'base-ot/point': [0, 1, 2, 4],
  'base-ot/key': [0, 1],
  'ot/column': [1, 2],
  'ot/chi': [0],
  'vole/gadget': [0, 1, 2, 3],
  'vole/row': [0],
  'vole/theta': [0, 1],
  'vole/mu': [0],
  'setup/direction': [0, 1, 2],
  'setup/zero': [0, 1, 2],
  'setup/transcript': [0, 1, 2],
  drbg: [0, 1, 2],
}

/** A backend that notes what it hashes: names by tag, and inputs without a tag. */
function noting(names: Map<string, string[]>, untagged: string[]): DcrmBackend {
  return overheard(native, (data) => {
    const read = itemsOf(data)
    if (read === null) {
      untagged.push(unhex(native.sha256(data)))
      return
    }
    const { tag, items, rest } = read
    const name = (NAME_ITEMS[tag] ?? []).map((index) => items[index])
    if (tag === 'vole/row') name.push(unhex(rest.slice(0, 4)))
    names.set(tag, [...(names.get(tag) ?? []), name.join(' ')])
  })
}

/** How many items follow each tag in the protocols that make, move and use keys. */
const FORMS: Readonly<Record<string, number>> = {
  'base-ot/key': 3,
  'base-ot/point': 5,
  descriptor: 5,
  'dkg/possession': 4,
  drbg: 3,
  'ecdsa/blame': 8,
  'ecdsa/rerandomise': 6,
  key: 2,
  'key-final': 6,
  'ot/chi': 2,
  'ot/column': 3,
  'presig/bond': 5,
  'presig/com': 5,
  'presig/id': 5,
  'presig/ok': 3,
  'presig/vole': 3,
  'presig/zeta': 2,
  'setup/direction': 3,
  'setup/transcript': 7,
  'setup/zero': 5,
  'vole/gadget': 4,
  'vole/mu': 2,
  'vole/row': 1,
  'vole/theta': 3,
}

describe('13 one tag, one form', () => {
  const forms = new Map<string, Set<number>>()
  const draws: string[] = []
  const untagged = new Set<number>()
  const backend = overheard(native, (data) => {
    const read = itemsOf(data)
    if (read === null) return untagged.add(data.length)
    // Number and row of 'vole/row' follow as they are: both have one size.
    const count = read.tag === 'vole/row' ? 1 : read.items.length
    forms.set(read.tag, (forms.get(read.tag) ?? new Set()).add(count))
    if (read.tag === 'drbg') draws.push(unhex(native.sha256(data)))
    return undefined
  })
  keyTranscripts('taproot', backend)
  // The keys above are made several times from the same seeds on purpose.
  draws.length = 0
  ecdsaTranscripts(backend)

  it('of generation, refresh, resharing, recovery, pair setup, presigning, signing and blame', () => {
    const seen = [...forms].map(([tag, counts]) => [tag, [...counts].join()] as const)
    expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(Object.entries(FORMS).map(([tag, count]) => [tag, String(count)])))
  })
  it('and without a tag only the two large messages of a VOLE', () => {
    expect([...untagged].toSorted((left, right) => left - right)).toEqual([8704, 39_936])
  })
  it('and no stretch of randomness drawn twice', () => {
    expect(new Set(draws).size).toBe(draws.length)
    expect(draws.length).toBeGreaterThan(100)
  })
})

describe('13 one name, one evaluation', () => {
  const names = new Map<PartyId, Map<string, string[]>>([
    [1, new Map()],
    [2, new Map()],
  ])
  const untagged = new Map<PartyId, string[]>([
    [1, []],
    [2, []],
  ])
  const backendOf = (id: PartyId): DcrmBackend => noting(names.get(id) ?? new Map(), untagged.get(id) ?? [])
  const set = [1, 2]
  const machines = set.map((self) => {
    const input = { backend: backendOf(self), self, set, sid: seedOf('sid'), seed: seedOf(`seed ${self}`) }
    return [self, pairSetupMachine(input)] as const
  })
  const { outcomes } = runLockstep(new Map(machines))
  const pairOf = (id: PartyId) => {
    const outcome = outcomes.get(id)
    const pair = outcome?.kind === 'done' ? outcome.result.get(3 - id) : undefined
    if (pair === undefined) throw new Error('the setup ends well')
    return pair
  }
  const finished = [
    { sender: 1, receiver: 2, run: 'a' },
    { sender: 2, receiver: 1, run: 'a' },
    { sender: 1, receiver: 2, run: 'b' },
  ].map(({ sender, receiver, run }) => {
    const contextOf = (id: PartyId) => {
      const common = { keyId: seedOf('key'), epoch: 0, sender, receiver }
      return { ...common, backend: backendOf(id), name: seedOf(`${run} ${sender} ${receiver}`) }
    }
    const drbgOf = (id: PartyId) => createDrbg(backendOf(id), seedOf(`vole ${id}`), `${run} ${sender}`)
    const asked = voleReceive(contextOf(receiver), pairOf(receiver), drbgOf(receiver))
    const sent = voleSend(contextOf(sender), pairOf(sender), asked.message, [1n, 2n], drbgOf(sender))
    return voleFinish(contextOf(receiver), asked.state, sent?.message ?? new Uint8Array(0))
  })
  /** How often each name of a tag was used, as the set of counts. */
  const usesOf = (id: PartyId, tag: string): readonly number[] => {
    const counts = new Map<string, number>()
    for (const name of names.get(id)?.get(tag) ?? []) counts.set(name, (counts.get(name) ?? 0) + 1)
    return [...new Set(counts.values())].toSorted((left, right) => left - right)
  }

  it('holds for a run that ends well', () => {
    expect(finished.every((shares) => shares !== null)).toBe(true)
  })
  it('reads back every tag that was used, and no other', () => {
    for (const id of set) expect([...(names.get(id)?.keys() ?? [])].toSorted()).toEqual(Object.keys(NAME_ITEMS).toSorted())
  })
  it.each(set)('names each evaluation of party %i once', (id) => {
    // Two keys of one index are two evaluations of one name; the sender makes two pads of a row from q and q ⊕ Δ.
    const twice = new Map([
      ['base-ot/key', [1, 2]],
      ['ot/column', [1, 2]],
      ['vole/row', [1, 2]],
      // The name of one's own direction is made again when the answer comes.
      ['setup/direction', [1, 2]],
    ])
    const once = [...(names.get(id)?.keys() ?? [])].filter((tag) => !twice.has(tag) && tag !== 'vole/gadget')
    expect(once.filter((tag) => usesOf(id, tag).join() !== '1')).toEqual([])
    for (const [tag, uses] of twice) expect([tag, usesOf(id, tag)]).toEqual([tag, uses])
  })
  it('hashes without a tag only whole messages, each once per side', () => {
    // Six matrices U and corrections ã: three runs, two messages each, seen by both.
    for (const id of set) {
      const inputs = untagged.get(id) ?? []
      expect(new Set(inputs).size).toBe(inputs.length)
      expect(inputs.length).toBe(6)
    }
  })
})
