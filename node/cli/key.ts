/** `fusion key …`: keys nobody holds, ordered on chain and made by parties. Source: whitepaper 3.5, 4.4.3 (1). @module */
import { createHash } from 'node:crypto'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed, KEY_OPTIONS, UsageError } from '#node/cli/command.ts'
import type { KeyRow, OperationRow, RequestRow } from '#node/cli/key-chain.ts'
import {
  FEE_PER_MEMBER_WEI,
  GENERIC,
  KEY_STATES,
  KeyChain,
  NO_SUBJECT,
  OPERATION_KINDS,
  OPERATION_STATES,
  SCHEMES,
  readScheme,
} from '#node/cli/key-chain.ts'
import type { Session } from '#node/cli/session.ts'
import { readId } from '#node/cli/session.ts'
import { fields } from '#node/cli/table.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import type { Hash, Hex } from '#shared/types.ts'

const THRESHOLD_OPTIONS = {
  threshold: { type: 'string', value: 'T', help: 'members that sign together, at least 2' },
  committee: { type: 'string', value: 'M', help: 'members that hold shares, at least the threshold' },
} as const
const WAIT_OPTIONS = { ...KEY_OPTIONS, 'timeout-seconds': { type: 'string', value: 'N', help: 'how long to wait (default 180)' } } as const
/** Printed under every address: it is a real key, and still nothing counts what is paid to it. */
const UNCREDITED = 'Nothing credits a payment to this key until Lock-in exists.'

function readSizes(session: Session): Readonly<{ threshold: number; size: number }> {
  const threshold = session.count('threshold')
  const size = session.count('committee')
  if (threshold === undefined || size === undefined) throw new UsageError('--threshold and --committee are needed')
  if (threshold < 2 || size < threshold || size > 32)
    throw new UsageError(`expected 2 ≤ threshold ≤ committee ≤ 32, got ${threshold} of ${size}`)
  return { threshold, size }
}

function refuseMain(session: Session): void {
  const network = session.option('network') ?? 'test'
  if (network === 'main')
    throw new CommandFailed(
      'no bridge contract owns a key yet, so a mainnet encoding would only lead to coins nobody can credit; use --network test',
    )
  if (network !== 'test') throw new UsageError(`--network expects test or main, got "${network}"`)
}

async function show(chain: KeyChain, row: KeyRow): Promise<Outcome> {
  const addresses = (await chain.read<string>('addressOf', [row.id, GENERIC, NO_SUBJECT])).split(' ')
  const signingKey = await chain.read<Hex>('signingKey', [row.id, GENERIC, NO_SUBJECT])
  const scheme = SCHEMES[row.scheme] ?? ''
  const text = fields([
    ['key', row.id],
    ['scheme', `${scheme}, ${row.threshold} of ${row.members.length}, epoch ${row.epoch}`],
    ['committee', row.members.join(', ')],
    ['public key', row.publicKey],
    ['signing key', signingKey],
    ...addresses.map((address): [string, string] => ['address', address]),
  ])
  const { id, threshold, epoch, members, publicKey } = row
  return { json: { key: id, scheme, threshold, members, epoch, publicKey, signingKey, addresses }, text: `${text}\n${UNCREDITED}` }
}

async function create(session: Session): Promise<Outcome> {
  refuseMain(session)
  const scheme = readScheme(session.option('scheme'))
  const { threshold, size } = readSizes(session)
  const chain = await KeyChain.open(session)
  return orderAndFollow(chain, 'requestKey', [scheme, threshold, size], size)
}

/** Orders a key, or a change of its holders, and follows it to its end. */
async function orderAndFollow(chain: KeyChain, functionName: string, args: readonly unknown[], size: number): Promise<Outcome> {
  const events = await chain.order(functionName, args, FEE_PER_MEMBER_WEI * BigInt(size))
  const { operation, key } = events.get('OperationRequested') as { operation: Hash; key: Hash }
  await chain.follow(operation)
  return show(chain, await chain.key(key))
}

async function change(session: Session, functionName: string, args: readonly unknown[], size: number): Promise<Outcome> {
  return orderAndFollow(await KeyChain.open(session), functionName, args, size)
}

async function membersOf(session: Session): Promise<number> {
  return (await (await KeyChain.open(session)).key(readId(session.operand(0)))).members.length
}

async function refresh(session: Session): Promise<Outcome> {
  return change(session, 'requestRefresh', [readId(session.operand(0))], await membersOf(session))
}

async function reshare(session: Session): Promise<Outcome> {
  const { threshold, size } = readSizes(session)
  return change(session, 'requestReshare', [readId(session.operand(0)), threshold, size], size)
}

async function recover(session: Session): Promise<Outcome> {
  const party = session.count('party')
  if (party === undefined) throw new UsageError('--party is needed: the number of the member that lost its share')
  return change(session, 'requestRecovery', [readId(session.operand(0)), party], await membersOf(session))
}

/** 32 bytes of hex as they are, any other text by its SHA-256. */
function messageOf(text: string): Hash {
  return /^0x[0-9a-fA-F]{64}$/.test(text)
    ? (text.toLowerCase() as Hash)
    : bytesToHex(new Uint8Array(createHash('sha256').update(text).digest()))
}

async function sign(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const message = messageOf(session.operand(1))
  const chain = await KeyChain.open(session)
  const row = await chain.key(id)
  const events = await chain.order('requestSignature', [id, NO_SUBJECT, message], FEE_PER_MEMBER_WEI * BigInt(row.threshold))
  const { id: request } = events.get('SignatureRequested') as { id: Hash }
  session.progress('waiting for the block that decides who signs, and for the signers')
  const { digest, signature } = await chain.signature(request)
  const signingKey = await chain.read<Hex>('signingKey', [id, GENERIC, NO_SUBJECT])
  const isValid = verifySignature(
    nobleBackend,
    SCHEMES[row.scheme] ?? 'ecdsa',
    hexToBytes(signingKey),
    hexToBytes(digest),
    hexToBytes(signature),
  )
  if (!isValid) throw new CommandFailed(`the chain shows a signature that does not verify: ${signature}`)
  const text = fields([
    ['message', message],
    ['digest', digest],
    ['signature', signature],
    ['signing key', signingKey],
    ['verified', 'yes, here and on chain'],
  ])
  return { json: { key: id, request, message, digest, signature, signingKey }, text }
}

type PartyRow = Readonly<{ id: number; account: string; absences: number; excludedAt: bigint; generation: bigint; relayUrl: string }>

/** Presignature stock a party tells about itself; null when it does not answer. */
async function stockOf({ relayUrl }: PartyRow, key: Hash): Promise<number | null> {
  try {
    const answer = await fetch(`${relayUrl}/v1/status`, { signal: AbortSignal.timeout(2000) })
    const { presignatures } = (await answer.json()) as { presignatures?: Record<string, number> }
    return presignatures?.[key] ?? 0
  } catch {
    return null
  }
}

async function status(session: Session): Promise<Outcome> {
  const chain = await KeyChain.open(session)
  const id = readId(session.operand(0))
  const row = await chain.key(id)
  const [parties, operations, requests, disputes] = await Promise.all([
    chain.read<readonly PartyRow[]>('parties', [0, 200]),
    chain.read<readonly OperationRow[]>('openOperations'),
    chain.read<readonly RequestRow[]>('pendingSignatures'),
    chain.read<readonly number[]>('disputesOf', [id]),
  ])
  const members = await Promise.all(
    parties.filter((party) => row.members.includes(party.id)).map(async (party) => ({ ...party, stock: await stockOf(party, id) })),
  )
  const open = operations.filter(({ key }) => key === id)
  const pending = requests.filter(({ key }) => key === id)
  const pairs = disputes.map((pair) => `${pair >>> 16} accuses ${pair & 0xffff}`)
  const memberLine = ({ id: party, absences, excludedAt, generation, stock }: (typeof members)[number]): [string, string] => [
    `party ${party}`,
    `${excludedAt === 0n ? '' : 'excluded, '}${absences} missed in a row, start ${generation}, ${stock === null ? 'does not answer' : `${stock} presignatures`}`,
  ]
  const answered = ({ members: all, confirmations }: OperationRow): string =>
    all.filter((_, index) => ((confirmations >>> index) & 1) === 1).join(', ') || 'nobody yet'
  const text = fields([
    ['key', row.id],
    [
      'state',
      `${KEY_STATES[row.state] ?? ''}, ${SCHEMES[row.scheme] ?? ''}, ${row.threshold} of ${row.members.length}, epoch ${row.epoch}`,
    ],
    ...members.map(memberLine),
    ['disputes', pairs.join('; ') || 'none'],
    ...open.map((operation): [string, string] => [
      OPERATION_KINDS[operation.kind] ?? '',
      `${OPERATION_STATES[operation.state] ?? ''}, attempt ${operation.attempt}, committee ${operation.members.join(', ')}, answered: ${answered(operation)}`,
    ]),
    ['signatures waiting', String(pending.length)],
  ])
  const json = {
    key: id,
    state: KEY_STATES[row.state],
    epoch: row.epoch,
    members: members.map(({ id: party, absences, excludedAt, generation, stock }) => ({
      party,
      absences,
      excluded: excludedAt !== 0n,
      generation: Number(generation),
      stock,
    })),
    disputes: disputes.map((pair) => [pair >>> 16, pair & 0xffff]),
    operations: open.map(({ id: operation, kind, state, attempt }) => ({
      operation,
      kind: OPERATION_KINDS[kind],
      state: OPERATION_STATES[state],
      attempt,
    })),
    pending: pending.map(({ id: request }) => request),
  }
  return { json, text }
}

async function list(session: Session): Promise<Outcome> {
  const chain = await KeyChain.open(session)
  const rows = await chain.read<readonly KeyRow[]>('keys', [0n, 200n])
  const line = ({ id, scheme, state, threshold, members, epoch }: KeyRow): string =>
    `${id}  ${(SCHEMES[scheme] ?? '').padEnd(8)} ${(KEY_STATES[state] ?? '').padEnd(8)} ${threshold} of ${members.length}  epoch ${epoch}`
  return {
    json: rows.map(({ id, scheme, state, threshold, members, epoch }) => ({
      key: id,
      scheme: SCHEMES[scheme],
      state: KEY_STATES[state],
      threshold,
      members,
      epoch,
    })),
    text: rows.length === 0 ? 'no keys yet; make one with fusion key create' : rows.map(line).join('\n'),
  }
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
  { path: 'key status', operands: '<key>', summary: 'members, presignatures, disputes, and who has answered', run: status },
  { path: 'key list', operands: '', summary: 'all keys of the network', run: list },
]
