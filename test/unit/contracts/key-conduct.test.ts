/** Conduct of parties: disputes, silence, proven faults, and the new holders the chain orders by itself. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { encodeContentEvidence, encodeEvidence } from '#shared/dcrm/evidence.ts'
import { openIdOf } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { KEY_MANAGER, NODE_RESERVE } from '#shared/system.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  REASON,
  BOND_WEI,
  FEE_WEI,
  OPERATION,
  OWNER,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  eventsOf,
  publicKeyOf,
  rawHeader,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import type { KeyWorld } from '#test/unit/contracts/key-world.ts'
import type { Outcome } from '#test/unit/contracts/world.ts'
import { keccak256 } from 'viem'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const RESHARE = 2
const dispute = (keys: KeyWorld, key: Hash, accuser: number, accused: number): Promise<Outcome> =>
  keys.done(keys.contract.send(accountOf(accuser), 'reportDispute', [key, accused, REASON]))
const membersOf = async (keys: KeyWorld, key: Hash) => (await keys.key(key)).members

describe('a dispute', () => {
  it('is recorded once, between members, by its accuser', async () => {
    const keys = await createKeyWorld(6)
    const key = await keys.activeKey('ecdsa', 2, 5)
    const members = await membersOf(keys, key)
    const [one = 0, two = 0, three = 0] = members
    const outsider = [1, 2, 3, 4, 5, 6].find((party) => !members.includes(party)) ?? 0
    const report = (from: `0x${string}`, accused: number, id = key) => keys.contract.refused(from, 'reportDispute', [id, accused, REASON])
    expect(await report(STRANGER, one)).toBe('NotAParty')
    expect(await report(accountOf(outsider), one)).toBe('NotAMember')
    expect(await report(accountOf(one), outsider)).toBe('NotAMember')
    expect(await report(accountOf(one), one)).toBe('NotAMember')
    expect(await report(accountOf(one), two, wordOf('nothing'))).toBe('NotAMember')
    expect(eventsOf(await dispute(keys, key, one, two))).toEqual([
      { name: 'DisputeRecorded', args: { key, accuser: one, accused: two, reason: REASON } },
    ])
    expect(await report(accountOf(one), two)).toBe('NothingToDo')
    expect(await report(accountOf(two), one)).toBe('SUCCESS')
    expect(await keys.contract.call('disputesOf', [key])).toEqual([one * 65_536 + two, two * 65_536 + one])
    await keys.done(keys.contract.send(accountOf(three), 'unregisterParty', []))
    expect(await report(accountOf(three), one)).toBe('NotAMember')
  })
  it('lowers the health of the key; at threshold and margin the chain orders new holders', async () => {
    const keys = await createKeyWorld(6)
    const key = await keys.activeKey('ecdsa', 2, 5)
    const [one = 0, two = 0, three = 0, four = 0] = await membersOf(keys, key)
    expect(await keys.contract.call('health', [key])).toEqual([5n, 2n, 1n])
    await dispute(keys, key, one, two)
    expect(await keys.contract.call('health', [key])).toEqual([4n, 2n, 1n])
    expect(await keys.open()).toEqual([])
    const sent = await dispute(keys, key, three, four)
    expect(await keys.contract.call('health', [key])).toEqual([3n, 2n, 1n])
    const { operation } = eventOf(sent, 'OperationRequested') as { operation: Hash }
    expect(await keys.open()).toMatchObject([
      { id: operation, key, kind: RESHARE, threshold: 2, size: 5, feeWei: 0n, state: OPERATION.requested },
    ])
    await keys.seat(operation)
    await keys.confirmAll(operation, publicKeyOf('ecdsa', 'key'))
    expect(await keys.contract.call('health', [key])).toEqual([5n, 2n, 1n])
    expect(await keys.key(key)).toMatchObject({ epoch: 1, threshold: 2 })
  })
  it('costs nobody a fee, so its end credits nobody', async () => {
    const keys = await createKeyWorld(4)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const [one = 0, two = 0] = await membersOf(keys, key)
    const { operation } = eventOf(await dispute(keys, key, one, two), 'OperationRequested') as { operation: Hash }
    for (const party of [1, 2]) await keys.done(keys.contract.send(accountOf(party), 'unregisterParty', []))
    expect(eventsOf(await keys.seat(operation)).map(({ name }) => name)).toEqual(['OperationEnded'])
  })
  it('orders nothing while the key is already being changed, nor without enough parties', async () => {
    const keys = await createKeyWorld(4)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const [one = 0, two = 0] = await membersOf(keys, key)
    await keys.done(keys.contract.send(OWNER, 'requestRefresh', [key], FEE_WEI))
    await dispute(keys, key, one, two)
    expect(await keys.open()).toHaveLength(1)
    const few = await createKeyWorld(3)
    const other = await few.activeKey('ecdsa', 2, 3)
    await few.done(few.contract.send(accountOf(3), 'unregisterParty', []))
    await dispute(few, other, 1, 2)
    expect(await few.open()).toEqual([])
  })
  it('costs no margin where the committee has none to spare', async () => {
    const keys = await createKeyWorld(4)
    const key = await keys.activeKey('ecdsa', 3, 3)
    expect(await keys.contract.call('health', [key])).toEqual([3n, 3n, 0n])
    expect(await keys.contract.refused(STRANGER, 'heal', [key])).toBe('NothingToDo')
    expect(await keys.contract.call('health', [wordOf('nothing')])).toEqual([0n, 0n, 0n])
  })
})

describe('a proven fault', () => {
  const secret = hexToBytes(wordOf('secret'))
  const signed = (payload: string, from: number, round = 1, id = hexToBytes(wordOf('session'))): Uint8Array => {
    const unsigned: UnsignedEnvelope = {
      id,
      epoch: 0,
      round,
      kind: 'broadcast',
      from,
      to: null,
      seq: 0,
      previous: new Uint8Array(32),
      payload: hexToBytes(wordOf(payload)),
    }
    const signature = nobleEnvelopeCrypto.sign(secret, envelopeDigest(nobleBackend, unsigned))
    return encodeEnvelope({ ...unsigned, signature })
  }
  const evidenceOf = (...envelopes: readonly Uint8Array[]): Hex => bytesToHex(encodeEvidence(envelopes))

  /** A key of five of which one, with a known secret, is the culprit; another party stands by. */
  async function withCulprit() {
    const keys = await createKeyWorld(5)
    const signKey = bytesToHex(ed25519.getPublicKey(secret))
    keys.world.state.addBalance(accountOf(6), BOND_WEI)
    await keys.admit([accountOf(6), STRANGER])
    await keys.done(keys.contract.send(accountOf(6), 'registerParty', [signKey, wordOf('seal'), ''], BOND_WEI))
    return { keys, culprit: 6 }
  }

  it('takes the bond, a tenth of it for the bearer, and expels the party', async () => {
    const { keys, culprit } = await withCulprit()
    const evidence = evidenceOf(signed('one', culprit), signed('two', culprit))
    const reserve = keys.world.state.balance(NODE_RESERVE)
    const owed = keys.world.state.balance(KEY_MANAGER)
    const sent = await keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidence]))
    const name = keccak256(evidence)
    expect(eventsOf(sent)).toMatchObject([
      { name: 'FaultProven', args: { accused: culprit, code: 'EQUIVOCATION', evidence: name } },
      { name: 'PartyExcluded', args: { party: culprit, reason: 'EQUIVOCATION', evidence: name } },
      { name: 'Credited', args: { amountWei: BOND_WEI / 10n } },
    ])
    expect(await keys.credit(STRANGER)).toBe(BOND_WEI / 10n)
    expect(keys.world.state.balance(NODE_RESERVE) - reserve).toBe((BOND_WEI * 9n) / 10n)
    expect(owed - keys.world.state.balance(KEY_MANAGER)).toBe((BOND_WEI * 9n) / 10n)
    expect(await keys.contract.call('parties', [culprit - 1, 1])).toEqual([])
    expect(await keys.contract.refused(OWNER, 'requestKey', [0, 2, 6], FEE_WEI)).toBe('TooFewCandidates')
    // Excluded is excluded: a bond that is gone cannot be asked for.
    keys.world.height += 2000
    expect(await keys.contract.refused(accountOf(6), 'unregisterParty', [])).toBe('NothingToDo')
  })
  it('may be one broadcast of the culprit that no honest party can have sent', async () => {
    const { keys, culprit } = await withCulprit()
    const subject = {
      chainId: 81_920,
      protocol: 'ecdsa',
      requestId: hexToBytes(wordOf('request')),
      epoch: 0,
      set: [1, culprit],
      attempt: 0,
    }
    // A partial is 64 bytes, this is one of 32.
    const envelope = signed('half', culprit, 1, openIdOf(nobleBackend, subject))
    const evidence = bytesToHex(encodeContentEvidence(envelope, subject, []) ?? new Uint8Array(0))
    expect(await keys.contract.refused(STRANGER, 'reportFault', [1, evidence])).toBe('EvidenceWrong')
    const sent = await keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidence]))
    expect(eventsOf(sent)[0]).toMatchObject({ name: 'FaultProven', args: { accused: culprit, code: 'CONTENT_IMPOSSIBLE' } })
    expect(await keys.credit(STRANGER)).toBe(BOND_WEI / 10n)
  })
  it('counts once, against its signer only', async () => {
    const { keys, culprit } = await withCulprit()
    const evidence = evidenceOf(signed('one', culprit), signed('two', culprit))
    const report = (accused: number, bytes: Hex) => keys.contract.refused(STRANGER, 'reportFault', [accused, bytes])
    expect(await report(1, evidence)).toBe('EvidenceWrong')
    expect(await report(99, evidence)).toBe('EvidenceWrong')
    expect(await report(culprit, evidenceOf(signed('one', culprit), signed('one', culprit)))).toBe('EvidenceWrong')
    expect(await report(culprit, evidenceOf(signed('one', 1), signed('two', 1)))).toBe('EvidenceWrong')
    expect(await report(culprit, evidenceOf(signed('one', culprit, 0), signed('two', culprit, 0)))).toBe('EvidenceWrong')
    expect(await report(culprit, '0x')).toBe('EvidenceWrong')
    expect(await report(culprit, evidence)).toBe('SUCCESS')
    expect(await report(culprit, evidence)).toBe('EvidenceWrong')
    expect(await keys.credit(STRANGER)).toBe(BOND_WEI / 10n)
  })
  it('still counts when the culprit has other keys since', async () => {
    const { keys, culprit } = await withCulprit()
    const report = (first: string, second: string) =>
      keys.contract.refused(STRANGER, 'reportFault', [culprit, evidenceOf(signed(first, culprit), signed(second, culprit))])
    await keys.done(keys.contract.send(accountOf(6), 'renewKeys', [wordOf('new sign'), wordOf('new seal')]))
    expect(await report('one', 'one')).toBe('EvidenceWrong')
    expect(await report('one', 'two')).toBe('SUCCESS')
  })
  it('finds the bond of a party that is leaving, and finds it once', async () => {
    const { keys, culprit } = await withCulprit()
    await keys.done(keys.contract.send(accountOf(6), 'unregisterParty', []))
    const report = (last: string) =>
      keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidenceOf(signed('one', culprit), signed(last, culprit))]))
    const sent = await report('two')
    expect(eventsOf(sent).map(({ name }) => name)).toEqual(['FaultProven', 'Credited'])
    await report('three')
    expect(await keys.credit(STRANGER)).toBe(BOND_WEI / 10n)
  })
  it('has new holders ordered for the keys of the culprit in the same transaction', async () => {
    const { keys, culprit } = await withCulprit()
    const key = await keys.activeKey('ed25519', 3, 6)
    const small = await keys.activeKey('ed25519', 4, 6, 'small')
    const free = await keys.activeKey('ed25519', 2, 6, 'free')
    // Somebody new, so that six are left to choose from.
    await keys.done(keys.contract.send(STRANGER, 'registerParty', [wordOf('s'), wordOf('t'), ''], BOND_WEI))
    const evidence = evidenceOf(signed('one', culprit), signed('two', culprit))
    await keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidence]))
    // Five are left of each: one above 4 is the margin, two above 3 and three above 2 are more.
    expect((await keys.open()).map((row) => row.key)).toEqual([small])
    expect(await keys.contract.refused(STRANGER, 'heal', [key])).toBe('NothingToDo')
    expect(await keys.contract.refused(STRANGER, 'heal', [small])).toBe('NothingToDo')
    expect(await keys.contract.refused(STRANGER, 'heal', [free])).toBe('NothingToDo')
    expect(await keys.contract.refused(STRANGER, 'heal', [wordOf('nothing')])).toBe('UnknownKey')
  })
  it('heals four keys at once, the rest when somebody asks', async () => {
    const { keys, culprit } = await withCulprit()
    const made: Hash[] = []
    for (let count = 0; count < 6; count++) made.push(await keys.activeKey('ed25519', 4, 6, `key ${count}`))
    await keys.done(keys.contract.send(STRANGER, 'registerParty', [wordOf('s'), wordOf('t'), ''], BOND_WEI))
    const evidence = evidenceOf(signed('one', culprit), signed('two', culprit))
    await keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidence]))
    expect((await keys.open()).map((row) => row.key)).toEqual(made.slice(2).toReversed())
    expect(await keys.contract.refused(STRANGER, 'heal', [made[0] ?? ZERO])).toBe('SUCCESS')
    expect(await keys.open()).toHaveLength(5)
  })
  it('ends what the culprit was seated in at the next attempt', async () => {
    const { keys, culprit } = await withCulprit()
    const id = await keys.order('ed25519', 2, 6)
    await keys.seat(id)
    const evidence = evidenceOf(signed('one', culprit), signed('two', culprit))
    await keys.done(keys.contract.send(STRANGER, 'reportFault', [culprit, evidence]))
    expect(await keys.contract.refused(accountOf(6), 'confirm', [id, 0, ZERO, publicKeyOf('ed25519', 'key')])).toBe('NotAMember')
    const height = Number(await keys.contract.call('seatHeight', [id]))
    keys.world.height = height + 1
    // Five are left for six seats.
    const sent = await keys.done(keys.contract.send(STRANGER, 'seat', [id, rawHeader(height)]))
    expect(eventOf(sent, 'OperationEnded')).toMatchObject({ state: OPERATION.failed })
  })
})
