/** What presigning, signing and blame hash, read back from the hash inputs of one signer and compared with the items the design asks for. @module */
import { expect, it } from 'vitest'
import { bytesToBigint } from '#shared/bytes.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { decodePartial } from '#shared/dcrm/ecdsa-sign.ts'
import type { PresignInput } from '#shared/dcrm/presign-state.ts'
import type { Presignature, Statements } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { Heard } from '#test/unit/dcrm/hash-items.ts'
import { itemsOf, overheard } from '#test/unit/dcrm/hash-items.ts'
import type { Used } from '#test/unit/dcrm/presign-support.ts'
import { encodedKeyOf, native, presign, presignaturesOf, presigning, tupleOf, used } from '#test/unit/dcrm/presign-support.ts'
import { unhex } from '#test/unit/dcrm/support.ts'

const { Point } = secp256k1
const q = Point.Fn.ORDER
const SELF = 7
const TRIO = [2, SELF, 9] as const

const heard: Heard[] = []
const listening = overheard(native, (data) => {
  const read = itemsOf(data)
  if (read !== null) heard.push(read)
})
/** The different lists of items one tag was used with. */
const usesOf = (tag: string): readonly string[] =>
  [...new Set(heard.flatMap((each) => (each.tag === tag ? [each.items.join(' ')] : [])))].toSorted()
const sorted = (lists: readonly (readonly string[])[]): readonly string[] => lists.map((items) => items.join(' ')).toSorted()

const number = (value: number): string => value.toString(16).padStart(16, '0')
const wide = (value: bigint): string => value.toString(16).padStart(64, '0')
const IDS = '0003000200070009'

const setup = presigning(TRIO, 'domains', 2)
const input: PresignInput = { ...(setup.inputs.get(SELF) as PresignInput), backend: listening }
const outcomes = presign({ ...setup, inputs: new Map([...setup.inputs, [SELF, input]]) })
const drafts = [0, 1].map((index) => presignaturesOf(outcomes, index).get(SELF) as Presignature)
const psids = drafts.map(({ psid }) => unhex(psid))
const saidWith = ({ statements }: Presignature, peer: PartyId): Statements => statements.find((each) => each.peer === peer) as Statements
/** R_i, pk_i and salt_i as a signer showed them to 7, or 7 to anybody. */
const opened = (draft: Presignature, id: PartyId): readonly string[] => {
  const statement = id === SELF ? saidWith(draft, 2).sent : saidWith(draft, id).received
  return [statement.slice(0, 33), statement.slice(33, 66), statement.slice(66, 98)].map((part) => unhex(part))
}

it('a presignature is named after key, epoch, set, session and its place in the batch', () => {
  const { share, sid } = input
  expect(usesOf('presig/id')).toEqual(
    sorted([0, 1].map((index) => [unhex(share.publicKey.keyId), number(0), IDS, unhex(sid), number(index)])),
  )
})

it('a commitment is to presignature, signer, R, pk and salt', () => {
  const expected = drafts.flatMap((draft) => TRIO.map((id) => [unhex(draft.psid), number(id), ...opened(draft, id)]))
  expect(usesOf('presig/com')).toEqual(sorted(expected))
})

it('a VOLE is named after presignature, sender and receiver', () => {
  const directions = [2, 9].flatMap((peer) => [
    [number(SELF), number(peer)],
    [number(peer), number(SELF)],
  ])
  expect(usesOf('presig/vole')).toEqual(sorted(psids.flatMap((psid) => directions.map((direction) => [psid, ...direction]))))
})

it('a part of zero is of the pair and of one presignature', () => {
  const zeros = [2, 9].map((peer) => unhex(input.pairs.get(peer)?.zero ?? new Uint8Array(0)))
  expect(usesOf('presig/zeta')).toEqual(sorted(psids.flatMap((psid) => zeros.map((zero) => [zero, psid]))))
})

it('a certificate is over presignature, set, and R and pk of every signer', () => {
  const point = (bytes: string): string => `00000021${bytes}`
  const expected = drafts.map((draft) => [
    unhex(draft.psid),
    IDS,
    `00000006${TRIO.flatMap((id) => opened(draft, id).slice(0, 2))
      .map(point)
      .join('')}`,
  ])
  expect(usesOf('presig/ok')).toEqual(sorted(expected))
})

it('a bond is over presignature, pair and both statements, that of the lower id first', () => {
  const expected = drafts.flatMap((draft) => {
    const [low, high] = [saidWith(draft, 2), saidWith(draft, 9)]
    return [
      [unhex(draft.psid), number(2), number(SELF), unhex(low.received), unhex(low.sent)],
      [unhex(draft.psid), number(SELF), number(9), unhex(high.sent), unhex(high.received)],
    ]
  })
  expect(usesOf('presig/bond')).toEqual(sorted(expected))
})

it('the shift of a nonce and the challenge of blame are over all that they depend on', () => {
  const tuple = tupleOf('domains')
  const encodedKey = encodedKeyOf(setup)
  const [draft] = drafts as [Presignature, Presignature]
  consume(listening, encodedKey, draft, tuple)
  const vault = Point.fromBytes(encodedKey)
  const child = vault.add(Point.BASE.multiply(tuple.tweak))
  const { psid, nonce } = draft
  expect(usesOf('ecdsa/rerandomise')).toEqual(
    sorted([[unhex(psid), unhex(nonce), unhex(child.toBytes()), wide(tuple.tweak), unhex(tuple.digest), unhex(tuple.entropy)]]),
  )

  const records = used(setup, presignaturesOf(outcomes, 0), tuple)
  const { context } = records.get(SELF) as Used
  const phi = bytesToBigint(draft.phi)
  const partials = new Map([...records].map(([id, { record }]) => [id, decodePartial(q, record.partial) as Partial]))
  const { digest, tweak } = tuple
  const step = blameMachine({
    backend: listening,
    self: SELF,
    presignature: draft,
    context,
    digest,
    tweak,
    encodedKey,
    partials,
    phi,
    seed: psid,
  }).start()
  const claim = (step.kind === 'round' ? step.send.broadcast : null) ?? new Uint8Array(0)
  // Y1 and Y2 are φ·R′ and φ·B: that is what is proven.
  const moved = Point.fromBytes(nonce).add(Point.BASE.multiply(context.shift))
  const base = Point.BASE.multiply((bytesToBigint(digest) + context.r * tweak) % q).add(vault.multiply(context.r))
  const points = [moved, base, moved.multiply(phi), base.multiply(phi)].map((each) => unhex(each.toBytes()))
  expect(usesOf('ecdsa/blame')).toEqual(
    sorted([[unhex(psid), number(SELF), ...points, unhex(claim.slice(0, 33)), unhex(claim.slice(33, 66))]]),
  )
})
