/** `fusion key status` and `fusion key list`: who holds keys, who serves, and what waits. @module */
import * as z from 'zod'
import { fetchBounded } from '#node/bounded-fetch.ts'
import type { Command, Outcome } from '#node/cli/command.ts'
import type { SignatureRow } from '#node/cli/key-chain.ts'
import { KEY_STATES, KeyChain, OPERATION_STATES, confirmedBy, schemeOf } from '#node/cli/key-chain.ts'
import { kindOf, seating } from '#node/cli/key-progress.ts'
import type { Session } from '#node/cli/session.ts'
import { readId } from '#node/cli/session.ts'
import { fields, table } from '#node/cli/table.ts'
import type { ChainKey, ChainOperation, ChainParty } from '#node/party/chain-view.ts'
import type { Hash } from '#shared/types.ts'

const PARTY_TIMEOUT_MS = 2000
const STATUS_BYTES_MAX = 1024 * 1024
/** What a party tells about itself; only the chain is believed about anything else. */
const zTold = z.object({
  party: z.int().nullable(),
  presignatures: z.record(z.string(), z.int().nonnegative()),
  sessions: z.array(z.string()),
})
type Told = z.infer<typeof zTold>
type Asked = ChainParty & Readonly<{ told: Told | null }>

async function ask(party: ChainParty): Promise<Asked> {
  try {
    const url = `${party.relayUrl.replace(/\/$/, '')}/v1/status`
    const { text } = await fetchBounded(url, { signal: AbortSignal.timeout(PARTY_TIMEOUT_MS) }, STATUS_BYTES_MAX)
    const told = zTold.parse(JSON.parse(text))
    return { ...party, told: told.party === party.id ? told : null }
  } catch {
    return { ...party, told: null }
  }
}

/** Presignatures in stock for a key, or for all; null when the party does not answer. */
function stockOf({ told }: Asked, key: Hash | null): number | null {
  if (told === null) return null
  if (key !== null) return told.presignatures[key] ?? 0
  return Object.values(told.presignatures).reduce((sum, count) => sum + count, 0)
}

const PARTY_HEAD = ['party', 'absences', 'excluded', 'lease', 'presignatures', 'sessions', 'relay']
function partyTable(parties: readonly Asked[], key: Hash | null): string {
  const rows = parties.map((party) => [
    String(party.id),
    String(party.absences),
    party.excludedAt === 0n ? '-' : `block ${party.excludedAt}`,
    String(party.generation),
    String(stockOf(party, key) ?? 'away'),
    String(party.told?.sessions.length ?? 'away'),
    party.relayUrl,
  ])
  return table(PARTY_HEAD, rows, [0, 1, 3, 4, 5])
}

const partyJson = (party: Asked, key: Hash | null) => ({
  party: party.id,
  account: party.account.toLowerCase(),
  absences: party.absences,
  excludedAt: party.excludedAt === 0n ? null : Number(party.excludedAt),
  generation: Number(party.generation),
  relayUrl: party.relayUrl,
  presignatures: stockOf(party, key),
  sessions: party.told?.sessions ?? null,
})

function operationLine(operation: ChainOperation): readonly [string, string] {
  const state = OPERATION_STATES[operation.state] ?? 'unknown'
  const seated =
    operation.members.length === 0
      ? 'parties not drawn yet'
      : `${seating(operation)}, confirmed by ${confirmedBy(operation).join(', ') || 'nobody yet'}`
  return [`${kindOf(operation).name} open`, `${state}, attempt ${operation.attempt}, ${seated}`]
}

const operationJson = (operation: ChainOperation) => ({
  operation: operation.id,
  key: operation.key,
  kind: kindOf(operation).name,
  state: OPERATION_STATES[operation.state],
  attempt: operation.attempt,
  members: operation.members,
  dealers: operation.dealers,
  confirmedBy: confirmedBy(operation),
})

const pendingJson = ({ id, key, message, digest, requestedAt, excluded }: SignatureRow) => ({
  request: id,
  key,
  message,
  digest,
  requestedAt: Number(requestedAt),
  excluded,
})

/** The network's parties and all that waits. */
async function networkStatus(chain: KeyChain): Promise<Outcome> {
  const [rows, keys, operations, pending] = await Promise.all([
    chain.parties(),
    chain.keys(),
    chain.openOperations(),
    chain.pendingSignatures(),
  ])
  const parties = await Promise.all(rows.map(ask))
  const about = fields([
    ['parties', String(parties.length)],
    ['keys', String(keys.length)],
    ...operations.map((operation): readonly [string, string] => {
      const [name, text] = operationLine(operation)
      return [name, `${text}, key ${operation.key}`]
    }),
    ['signatures waiting', String(pending.length)],
  ])
  const json = {
    parties: parties.map((party) => partyJson(party, null)),
    keys: keys.length,
    operations: operations.map(operationJson),
    pending: pending.map(pendingJson),
  }
  return { json, text: `${about}\n\n${partyTable(parties, null)}` }
}

/** One key, its members and all that waits for it. */
async function keyStatus(chain: KeyChain, id: Hash): Promise<Outcome> {
  const row = await chain.key(id)
  const [parties, operations, requests, disputes, health] = await Promise.all([
    chain.parties(),
    chain.openOperations(),
    chain.pendingSignatures(),
    chain.disputes(id),
    chain.health(id),
  ])
  const members = await Promise.all(parties.filter((party) => row.members.includes(party.id)).map(ask))
  const open = operations.filter(({ key }) => key === id)
  const pending = requests.filter(({ key }) => key === id)
  const scheme = schemeOf(row)
  const state = KEY_STATES[row.state] ?? 'unknown'
  const about = fields([
    ['key', id],
    ['owner', row.owner.toLowerCase()],
    ['state', `${state}, ${scheme}, ${row.threshold} of ${row.members.length}, epoch ${row.epoch}`],
    ['members', row.members.join(', ') || 'none yet'],
    [
      'health',
      `${health.live} can sign together, ${health.threshold} must; new holders are ordered at ${health.threshold + health.margin}`,
    ],
    ['disputes', disputes.map(([accuser, accused]) => `${accuser} accuses ${accused}`).join('; ') || 'none'],
    ...open.map(operationLine),
    ['signatures waiting', pending.map(({ id: request }) => request).join(', ') || 'none'],
  ])
  const json = {
    key: id,
    owner: row.owner.toLowerCase(),
    scheme,
    state,
    threshold: row.threshold,
    epoch: row.epoch,
    publicKey: row.publicKey,
    members: members.map((party) => partyJson(party, id)),
    health,
    disputes,
    operations: open.map(operationJson),
    pending: pending.map(pendingJson),
  }
  return { json, text: members.length === 0 ? about : `${about}\n\n${partyTable(members, id)}` }
}

async function status(session: Session): Promise<Outcome> {
  const [given] = session.line.operands
  const id = given === undefined ? null : readId(given)
  const chain = await KeyChain.open(session)
  return id === null ? networkStatus(chain) : keyStatus(chain, id)
}

function rowOf(row: ChainKey) {
  const { id, state, threshold, members, epoch, publicKey } = row
  return {
    key: id,
    owner: row.owner.toLowerCase(),
    scheme: schemeOf(row),
    state: KEY_STATES[state] ?? 'unknown',
    threshold,
    members,
    epoch,
    publicKey,
  }
}

async function list(session: Session): Promise<Outcome> {
  const rows = (await (await KeyChain.open(session)).keys()).map(rowOf)
  const lines = rows.map(({ key, scheme, state, threshold, members, epoch }) => [
    key,
    scheme,
    state,
    `${threshold} of ${members.length}`,
    String(epoch),
  ])
  const text =
    rows.length === 0 ? 'no keys yet; make one with fusion key create' : table(['key', 'scheme', 'state', 'signers', 'epoch'], lines, [4])
  return { json: rows, text }
}

/** Commands that only look at keys. */
export const keyReadCommands: readonly Command[] = [
  {
    path: 'key status',
    operands: '[key]',
    summary: 'parties, members, presignatures, disputes, health, and who has confirmed',
    run: status,
  },
  { path: 'key list', operands: '', summary: 'all keys of the network', run: list },
]
