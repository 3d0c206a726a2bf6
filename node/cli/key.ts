/** `fusion key …`: keys nobody holds, ordered on chain and made by parties. Source: whitepaper 3.5, 4.4.3 (1). @module */
import { createHash } from 'node:crypto'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed, KEY_OPTIONS, UsageError } from '#node/cli/command.ts'
import { KeyChain, SIGNATURE_STATE, hashIn, readScheme, schemeOf } from '#node/cli/key-chain.ts'
import { OperationProgress } from '#node/cli/key-progress.ts'
import { keyReadCommands } from '#node/cli/key-status.ts'
import type { Session } from '#node/cli/session.ts'
import { readAddress, readId } from '#node/cli/session.ts'
import { fields } from '#node/cli/table.ts'
import type { ChainKey } from '#node/party/chain-view.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { testAddresses } from '#shared/dcrm/address.ts'
import { PURPOSES, childKey } from '#shared/dcrm/derive.ts'
import { genericDigest } from '#shared/dcrm/digest.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import type { Hash } from '#shared/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'

const THRESHOLD_OPTIONS = {
  threshold: { type: 'string', value: 'T', help: 'members that sign together, at least 2' },
  committee: { type: 'string', value: 'M', help: 'members that hold shares, at least the threshold, at most 32' },
} as const
const WAIT_OPTIONS = {
  ...KEY_OPTIONS,
  'timeout-seconds': { type: 'string', value: 'N', help: 'how long to wait for the parties (default 180)' },
} as const
/** Printed under every address: it is a real key, and still nothing counts what is paid to it. */
const UNCREDITED = 'Nothing credits a payment to this address until Lock-in exists.'
/** Subject of keys the CLI uses: none. */
const NO_SUBJECT: Hash = `0x${'00'.repeat(32)}`

function readSizes(session: Session): Readonly<{ threshold: number; size: number }> {
  const threshold = session.count('threshold')
  const size = session.count('committee')
  if (threshold === undefined || size === undefined) throw new UsageError('--threshold T and --committee M are needed')
  if (threshold < 2 || size < threshold || size > 32)
    throw new UsageError(`expected 2 ≤ threshold ≤ committee ≤ 32, got threshold ${threshold} and committee ${size}`)
  return { threshold, size }
}

function refuseMain(session: Session): void {
  const network = session.option('network') ?? 'test'
  if (network === 'main')
    throw new CommandFailed(
      'main is refused: no bridge contract owns a key yet, so nobody could credit coins paid to its main network address; use --network test',
    )
  if (network !== 'test') throw new UsageError(`--network expects test or main, got "${network}"`)
}

/** Key that signs for `generic`, derived here from the public key, so that no validator is believed. */
function signingKeyOf(row: ChainKey): Uint8Array {
  const path = { purpose: 'generic', subject: hexToBytes(NO_SUBJECT) } as const
  const child = childKey(nobleBackend, schemeOf(row), hexToBytes(row.id), hexToBytes(row.publicKey), path)
  if (child === null) throw new CommandFailed(`the chain shows a public key that is none: ${row.publicKey}`)
  return child.signingKey
}

/** Key and addresses. The chain derives them too; a difference means that the validator or this program is wrong. */
async function show(chain: KeyChain, id: Hash, operation: Hash): Promise<Outcome> {
  const row = await chain.key(id)
  const scheme = schemeOf(row)
  const { threshold, epoch, members, publicKey } = row
  const signingKey = signingKeyOf(row)
  const derived = testAddresses(scheme, signingKey)
  const addresses = derived.map(({ text }) => text)
  const told = await chain.addresses(id, PURPOSES.indexOf('generic'), NO_SUBJECT)
  if (told.toSorted().join(' ') !== addresses.toSorted().join(' '))
    throw new CommandFailed(`expected the addresses ${addresses.join(' ')} for public key ${publicKey}, the chain has ${told.join(' ')}`)
  const text = fields([
    ['key', id],
    ['scheme', `${scheme}, ${threshold} of ${members.length}, epoch ${epoch}`],
    ['committee', members.join(', ')],
    ['public key', publicKey],
    ['signing key', bytesToHex(signingKey)],
    ...derived.map((address): [string, string] => [`${address.chain} address`, address.text]),
  ])
  const json = {
    key: id,
    operation,
    scheme,
    threshold,
    members,
    epoch,
    publicKey,
    signingKey: bytesToHex(signingKey),
    network: 'test',
    addresses,
  }
  return { json, text: `${text}\n${UNCREDITED}` }
}

type Order = Readonly<{ functionName: string; args: readonly unknown[]; members: number; epoch: number }>

/** Orders a key, or a change of its holders, and follows it to its end. */
async function orderAndFollow(session: Session, chain: KeyChain, { functionName, args, members, epoch }: Order): Promise<Outcome> {
  const events = await chain.order(functionName, args, members)
  const operation = hashIn(events, 'OperationRequested', 'operation')
  const key = hashIn(events, 'OperationRequested', 'key')
  await new OperationProgress(session, chain, epoch).follow(operation, key)
  return show(chain, key, operation)
}

async function create(session: Session): Promise<Outcome> {
  refuseMain(session)
  const scheme = readScheme(session.option('scheme'))
  const { threshold, size } = readSizes(session)
  const order = { functionName: 'requestKey', args: [scheme, threshold, size], members: size, epoch: 0 }
  return orderAndFollow(session, await KeyChain.open(session), order)
}

async function refresh(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const chain = await KeyChain.open(session)
  const { members, epoch } = await chain.ownKey(id)
  return orderAndFollow(session, chain, { functionName: 'requestRefresh', args: [id], members: members.length, epoch })
}

async function reshare(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const { threshold, size } = readSizes(session)
  const chain = await KeyChain.open(session)
  const { epoch } = await chain.ownKey(id)
  return orderAndFollow(session, chain, { functionName: 'requestReshare', args: [id, threshold, size], members: size, epoch })
}

async function recover(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const party = session.count('party')
  if (party === undefined) throw new UsageError('--party ID is needed: the number of the member that lost its share')
  const chain = await KeyChain.open(session)
  const { members, epoch } = await chain.ownKey(id)
  if (!members.includes(party)) throw new CommandFailed(`expected a member of the key (${members.join(', ')}), got party ${party}`)
  return orderAndFollow(session, chain, { functionName: 'requestRecovery', args: [id, party], members: members.length, epoch })
}

/** 32 bytes of hex as they are, any other text by its SHA-256. @throws {UsageError} for hex of another length */
function messageOf(text: string): Hash {
  if (/^0x[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase() as Hash
  if (/^0x[0-9a-fA-F]*$/.test(text))
    throw new UsageError(`expected a message of 32 bytes as hex, or a text; got ${text.length - 2} digits of hex`)
  return bytesToHex(new Uint8Array(createHash('sha256').update(text).digest()))
}

/** What anybody's verifier says; ECDSA signatures carry their recovery id in a 65th byte. */
function isValid(scheme: Scheme, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  try {
    if (scheme === 'taproot') return schnorr.verify(signature, digest, key)
    if (scheme === 'ed25519') return ed25519.verify(signature, digest, key, { zip215: false })
    return secp256k1.verify(signature.subarray(0, 64), digest, key, { prehash: false })
  } catch {
    return false
  }
}

async function sign(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const message = messageOf(session.operand(1))
  const chain = await KeyChain.open(session)
  const row = await chain.ownKey(id)
  const events = await chain.order('requestSignature', [id, NO_SUBJECT, message], row.threshold)
  const request = hashIn(events, 'SignatureRequested', 'id')
  const digest = bytesToHex(genericDigest(nobleBackend, hexToBytes(await chain.genesisHash()), hexToBytes(request), hexToBytes(message)))
  session.progress(`request ${request}: waiting for the block that draws ${row.threshold} signers, and for them`)
  const signed = await chain.waitFor(`a signature for request ${request}`, `fusion key status ${id}`, async () => {
    const found = await chain.signature(request)
    if (found.state === SIGNATURE_STATE.expired)
      throw new CommandFailed(`nobody signed request ${request} in time; the fee is credited back`)
    return found.state === SIGNATURE_STATE.signed ? found : null
  })
  if (signed.digest !== digest) throw new CommandFailed(`expected a signature of digest ${digest}, the chain has one of ${signed.digest}`)
  const { signature } = signed
  const signingKey = signingKeyOf(row)
  if (!isValid(schemeOf(row), signingKey, hexToBytes(digest), hexToBytes(signature)))
    throw new CommandFailed(`the chain shows a signature that does not verify under ${bytesToHex(signingKey)}: ${signature}`)
  const json = { key: id, request, message, digest, signature, signingKey: bytesToHex(signingKey), verified: true }
  const text = fields([
    ['message', message],
    ['digest', digest],
    ['signature', signature],
    ['signing key', json.signingKey],
    ['verified', 'yes, here and on chain'],
  ])
  return { json, text }
}

async function vouch(session: Session): Promise<Outcome> {
  const account = readAddress(session.operand(0))
  const chain = await KeyChain.open(session)
  await chain.order('vouch', [[account]], 0)
  const { standing, words } = await chain.standing(account)
  const text = fields([
    ['account', account],
    ['standing', standing === 'none' ? 'not admitted yet: more than two thirds of the validators must vouch' : standing],
    ['validators that vouch', String(words)],
  ])
  return { json: { account, standing, words }, text }
}

/** Commands about keys. */
export const keyCommands: readonly Command[] = [
  {
    path: 'key create',
    operands: '',
    summary: 'make a key that no single party ever holds, and show its address',
    options: {
      scheme: { type: 'string', value: 'S', help: 'ecdsa, taproot or ed25519' },
      ...THRESHOLD_OPTIONS,
      network: { type: 'string', value: 'N', help: 'address encoding: test (default); main is refused until a bridge owns keys' },
      ...WAIT_OPTIONS,
    },
    run: create,
  },
  {
    path: 'key sign',
    operands: '<key> <message>',
    summary: 'have a key sign 32 bytes of hex, or the SHA-256 of a text',
    options: WAIT_OPTIONS,
    run: sign,
  },
  { path: 'key refresh', operands: '<key>', summary: 'give all members new shares of the same key', options: WAIT_OPTIONS, run: refresh },
  {
    path: 'key reshare',
    operands: '<key>',
    summary: 'move the same key to another committee and threshold',
    options: { ...THRESHOLD_OPTIONS, ...WAIT_OPTIONS },
    run: reshare,
  },
  {
    path: 'key recover',
    operands: '<key>',
    summary: 'give a member its lost share back',
    options: { party: { type: 'string', value: 'ID', help: 'number of the member' }, ...WAIT_OPTIONS },
    run: recover,
  },
  {
    path: 'key vouch',
    operands: '<account>',
    summary: 'as a validator: say that an account belongs to an operator of its own, so that it may run a party',
    options: WAIT_OPTIONS,
    run: vouch,
  },
  ...keyReadCommands,
]
