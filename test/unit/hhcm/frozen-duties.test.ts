/** Duties, lanes, seeds and tickets of fixed inputs against frozen values: a change here splits the network. @module */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { dutiesOf } from '#shared/hhcm/duties.ts'
import { laneOf, laneOrder } from '#shared/hhcm/lanes.ts'
import { findTicket, ticketSeed } from '#shared/hhcm/pow.ts'
import { slotSeed } from '#shared/hhcm/randomness.ts'
import type { Hash } from '#shared/types.ts'
import { simConfig, simValidators } from '#test/sim/chain-stub.ts'

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(data).digest())
const file = path.resolve(import.meta.dirname, '../../vectors/hhcm/duties.json')
const frozen = JSON.parse(readFileSync(file, 'utf8')) as { cases: readonly { seed: Hash }[] }
const validators = simValidators(7).map((validator, index) => ({ ...validator, stakeWei: BigInt(index + 1) * 10n ** 21n }))
const config = simConfig(validators, 3, 0, null)

function caseOf(seed: Hash): unknown {
  const author = validators[2]?.address ?? '0x'
  const race = { genesisHash: config.genesisHash, seed, slot: 77, lane: 1, author, vrfOutput: new Uint8Array(64).fill(9) }
  return {
    seed,
    duties: dutiesOf(config, seed, sha256),
    laneOrder: laneOrder(seed, 5),
    callLane: laneOf(seed, { kind: 'call', to: author }, 16),
    senderLane: laneOf(seed, { kind: 'sender', sender: author }, 16),
    entryLane: laneOf(seed, { kind: 'entry', id: seed }, 16),
    setLane: laneOf(seed, { kind: 'set', id: seed }, 16),
    seedAfterGap: slotSeed({ randomness: seed, slot: 70 }, 77, sha256),
    ticket: findTicket(ticketSeed(race, sha256), 64, sha256),
  }
}

it.each(frozen.cases)('seed $seed', (expected) => {
  expect(caseOf(expected.seed)).toEqual(expected)
})
