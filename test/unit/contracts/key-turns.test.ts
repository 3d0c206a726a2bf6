/**
 * Contract and parties draw the same set for an attempt, whatever is reported before, in and after it: what either of them has at the block the
 * attempt begins at decides. The parties' side reads a board, the contract goes back in its own records. Source: docs/dcrm.md, duties.
 * @module
 */
import type { Board } from '#node/party/chain-view.ts'
import { awaitedSignatures, signingDuty } from '#node/party/duties.ts'
import type { Dispute } from '#shared/dcrm/committee.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Hash } from '#shared/types.ts'
import { REASON, accountOf, createKeyWorld, headerAt, rawHeader, wordOf } from '#test/unit/contracts/key-world.ts'
import type { KeyWorld, PartyRow } from '#test/unit/contracts/key-world.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'
import { describe, expect, it } from 'vitest'

const PARTIES = [1, 2, 3, 4, 5]
const ATTEMPTS = 6
const REQUESTS = 4

/** What a party reads of the chain in the block that was made last. */
async function boardOf(keys: KeyWorld, key: Hash): Promise<Board> {
  const read = (name: 'parties' | 'keys' | 'openOperations' | 'pendingSignatures' | 'disputesOf', args: never) =>
    keys.contract.call(name, args)
  const pairs = (await read('disputesOf', [key] as never)) as readonly number[]
  return {
    height: keys.world.height,
    heartbeatBlocks: 200,
    parties: (await read('parties', [0, 200] as never)) as Board['parties'],
    keys: (await read('keys', [0n, 50n] as never)) as Board['keys'],
    operations: (await read('openOperations', [] as never)) as Board['operations'],
    requests: (await read('pendingSignatures', [] as never)) as Board['requests'],
    disputes: new Map([[key, pairs.map((pair): Dispute => [pair >>> 16, pair & 0xffff])]]),
  }
}

/** Whom the parties' own code draws for each request in the attempt that begins with this board. */
function drawnBy(board: Board, opening: number): ReadonlyMap<Hash, readonly number[]> {
  const awaited = awaitedSignatures(board, 1, () => wordOf('none')).filter(({ heartbeatEpoch }) => heartbeatEpoch === null)
  return new Map(
    awaited.map((each) => [
      each.session,
      PARTIES.filter((self) => signingDuty(nobleBackend, board, self, each, headerAt(opening).randomness) !== null),
    ]),
  )
}

/** Whom the contract lets speak about an attempt: a report that names nobody is taken from the set and from nobody else. */
async function admittedBy(keys: KeyWorld, request: Hash, attempt: number, opening: number): Promise<readonly number[]> {
  const admitted: number[] = []
  for (const party of PARTIES) {
    const answer = await keys.contract.refused(accountOf(party), 'reportAbsence', [request, attempt, [], rawHeader(opening)])
    if (answer === 'SUCCESS') admitted.push(party)
  }
  return admitted
}

describe('the set of an attempt', () => {
  it.each([1, 2, 3, 4])('is the same to the contract and to each party, later as well (history %i)', async (seed) => {
    const { bytes: random } = createDrbg(nobleBackend, seedOf(`turns ${seed}`), 'turns')
    const pick = <T>(list: readonly T[]): T | undefined => list[(random(1)[0] ?? 0) % list.length]
    const keys = await createKeyWorld(5)
    const key = await keys.activeKey('taproot', 3, 5)
    const requests: Hash[] = []
    for (let count = 0; count < REQUESTS; count++) requests.push(await keys.orderSignature(key, wordOf(`${seed}/${count}`)))
    const opening = keys.world.height + 4
    const sets: ReadonlyMap<Hash, readonly number[]>[] = []
    let generation = 1n

    const somethingHappens = async (attempt: number): Promise<void> => {
      const [kind = 0] = random(1)
      const [one = 0, other = 0] = [pick(PARTIES), pick(PARTIES)]
      if (kind < 20) await keys.contract.send(accountOf(one), 'reportDispute', [key, other, REASON])
      else if (kind < 60) await keys.contract.send(accountOf(one), 'renewLease', [wordOf('instance'), generation++, ''])
      else if (kind < 62) await keys.contract.send(accountOf(one), 'unregisterParty', [])
      else {
        const request = pick(requests) ?? wordOf('none')
        const set = sets[attempt]?.get(request) ?? []
        const accused = pick(set.filter((party) => party > 2))
        if (accused !== undefined)
          for (const reporter of set) if (reporter !== accused) await keys.reportAbsence(request, attempt, reporter, [accused])
      }
    }

    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      keys.world.height = opening + 20 * attempt
      // What the first block of an attempt carries belongs to what decides it; what it says of the attempt before is told in time.
      if (attempt > 0) await somethingHappens(attempt - 1)
      sets.push(drawnBy(await boardOf(keys, key), opening))
      for (const height of [1, 7, 19]) {
        keys.world.height = opening + 20 * attempt + height
        await somethingHappens(attempt)
      }
    }
    keys.world.height++
    const rows = (await keys.contract.call('parties', [0, 200])) as readonly PartyRow[]
    const gone = rows.filter(({ excludedAt }) => excludedAt !== 0n).map(({ id }) => id)
    for (const [attempt, drawn] of sets.entries())
      for (const request of requests) {
        const expected = (drawn.get(request) ?? []).filter((party) => !gone.includes(party))
        expect([attempt, await admittedBy(keys, request, attempt, opening)]).toEqual([attempt, expected])
      }
    // The history changed something, so that agreement means something.
    expect(new Set(sets.map((drawn) => String([...drawn.values()]))).size).toBeGreaterThan(3)
  })
})
