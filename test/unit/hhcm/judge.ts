/** Objects of one real slot, tools to change and re-sign them, and a machine that judges them. @module */
import { bytesToHex } from '#shared/bytes.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import {
  blockHash,
  blockPayload,
  certificatePayload,
  coSignaturePayload,
  packageHash,
  packagePayload,
  packagesRoot,
  votePayload,
  votesRoot,
} from '#shared/hhcm/signing.ts'
import { step } from '#shared/hhcm/step.ts'
import type {
  BlockEnvelope,
  Certificate,
  CoSignature,
  Evidence,
  HhcmEffect,
  Package,
  PackageHeader,
  Vote,
  WireMessage,
} from '#shared/hhcm/types.ts'
import type { Address, Hex } from '#shared/types.ts'
import { fakeCrypto } from '#test/sim/fake-crypto.ts'
import { Cluster } from '#test/unit/hhcm/cluster.ts'

/** Six validators, groups of three. Node 5 hears nothing of slot 3; its state at .60 of that slot is the judge of every test. */
export const WATCHER = 5
export const cluster = new Cluster({ count: 6 })
cluster.runToSlot(2, 990)
cluster.options = { link: (_from, to) => to !== WATCHER }
cluster.runToSlot(3, 600)
export const watcher = cluster.node(WATCHER)
export const { config } = watcher
export const { genesisHash, validators } = config
export const keccak256 = watcher.crypto.keccak256
export const ofSlot3 = <Kind extends WireMessage['kind']>(kind: Kind): Extract<WireMessage, { kind: Kind }>[] =>
  cluster.nodes.flatMap(({ index }) => (index === WATCHER ? [] : cluster.said(index, kind)))

/** Unwraps what the run is known to have made. */
function made<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`slot 3 made no ${what}`)
  return value
}

export const sealed = made(ofSlot3('block').find(({ block }) => block.header.slot === 3)?.block, 'block')
export const parcel = made(ofSlot3('package').find((message) => message.package.header.slot === 3)?.package, 'package')
export const certificate = made(sealed.certificates[parcel.header.lane], 'certificate')

export const keyOf = (address: Address): Hex => validators.find((validator) => validator.address === address)?.consensusKey ?? '0x00'
export const signAs = (address: Address, payload: Uint8Array): Hex => bytesToHex(fakeCrypto(keyOf(address)).sign(payload))
export const WRONG_SIGNATURE: Hex = `0x${'11'.repeat(64)}`
export const STRANGER: Address = `0x${'99'.repeat(20)}`

export function makePackage(change: Partial<PackageHeader>): Package {
  const header = { ...parcel.header, ...change }
  const hash = packageHash(header, keccak256)
  const signature = change.signature ?? signAs(header.author, packagePayload(genesisHash, hash))
  return { hash, header: { ...header, signature }, txs: parcel.txs }
}

export function makeCoSignature(signer: Address, header: PackageHeader): CoSignature {
  const unsigned = { slot: header.slot, lane: header.lane, packageHash: packageHash(header, keccak256) }
  return { ...unsigned, signer, signature: signAs(signer, coSignaturePayload(genesisHash, unsigned)) }
}

export function makeCertificate(change: Partial<Certificate>): Certificate {
  const next = { ...certificate, ...change }
  const payload = certificatePayload(genesisHash, packageHash(next.header, keccak256), next)
  return { ...next, signature: change.signature ?? signAs(next.header.author, payload) }
}

export function makeBlock(
  change: Partial<BlockEnvelope['header']>,
  parts: Partial<Pick<BlockEnvelope, 'certificates' | 'votes'>> = {},
): BlockEnvelope {
  const block = { ...sealed, ...parts }
  const header = {
    ...block.header,
    packagesRoot: packagesRoot(block.certificates, keccak256),
    votesRoot: votesRoot(block.votes, keccak256),
    ...change,
  }
  const hash = blockHash(header, keccak256)
  const signature = change.signature ?? signAs(header.author, blockPayload(genesisHash, hash))
  return { ...block, hash, header: { ...header, signature } }
}

export function makeVote(change: Partial<Vote>): Vote {
  const voter = validators[0]?.address ?? '0x'
  const target = { slot: 3, blockHash: watcher.state.head }
  const vote = { source: watcher.state.source, target, voter, ...change }
  return { ...vote, signature: change.signature ?? signAs(vote.voter, votePayload(genesisHash, vote)) }
}

/** What the watcher does with messages, on a copy of its state. */
export function judge(messages: readonly WireMessage[], rules: Rules = RULES): readonly HhcmEffect[] {
  const state = structuredClone(watcher.state)
  return messages.flatMap((message) => step(config, state, { kind: 'message', from: 'peer', message }, watcher.crypto, rules).effects)
}
export const faults = (message: WireMessage, rules?: Rules): string[] =>
  judge([message], rules).flatMap((effect) => (effect.kind === 'fault' ? [effect.fault] : []))
export const packageFaults = (change: Partial<PackageHeader>, rules?: Rules): string[] =>
  faults({ kind: 'package', package: makePackage(change) }, rules)
export const certificateFaults = (change: Partial<Certificate>): string[] =>
  faults({ kind: 'certificate', certificate: makeCertificate(change) })
export const blockFaults = (...change: Parameters<typeof makeBlock>): string[] => faults({ kind: 'block', block: makeBlock(...change) })
export const evidences = (effects: readonly HhcmEffect[]): Evidence[] =>
  effects.flatMap((effect) => (effect.kind === 'evidence' ? [effect.evidence] : []))

export const members = certificate.coSignatures.map(({ signer }) => signer)
export const outsider = validators.find(({ address }) => !members.includes(address))?.address ?? '0x'
export const otherMember = members.find((member) => member !== parcel.header.author) ?? '0x'

export const indexOf = (address: Address): number => validators.findIndex((validator) => validator.address === address)
