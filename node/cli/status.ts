/** `fusion status` and `fusion evidence export`: the network as a whole. @module */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed, UsageError } from '#node/cli/command.ts'
import { askValidator, zFinality, zValidatorEvidence } from '#node/cli/rpc.ts'
import type { Session } from '#node/cli/session.ts'
import { fields, fsn, table } from '#node/cli/table.ts'
import { convicts, zProofFile } from '#node/sdk/index.ts'

async function validatorRow(url: string) {
  try {
    const { head, safe, finalized } = await askValidator(url, zFinality, 'fusion_finality')
    return { url, head: head.number, safe: safe.number, finalized: finalized.number }
  } catch {
    return { url, head: null, safe: null, finalized: null }
  }
}

async function edgePart(session: Session) {
  try {
    const client = session.client()
    const [meta, health, status] = await Promise.all([client.meta(), client.health(), client.status()])
    return { meta, health, status }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

async function status(session: Session): Promise<Outcome> {
  const [edge, validators] = await Promise.all([
    edgePart(session),
    session.rpcUrls().then((urls) => Promise.all(urls.map((url) => validatorRow(url)))),
  ])
  if ('error' in edge && validators.every(({ head }) => head === null))
    throw new CommandFailed(`neither the edge ${session.edgeUrl} nor any validator answers; is the network running?`)
  const number = (value: number | null): string => (value === null ? 'away' : String(value))
  const rows = validators.map(({ url, head, safe, finalized }) => [url, number(head), number(safe), number(finalized)])
  const heights = table(['validator', 'head', 'safe', 'final'], rows, [1, 2, 3])
  if ('error' in edge) return { json: { edge: null, validators }, text: `edge ${session.edgeUrl}: away (${edge.error})\n\n${heights}` }
  const { meta, health, status: seen } = edge
  const about = fields([
    ['edge', `${session.edgeUrl} (${health.status})`],
    ['chain', `${meta.chainId}, genesis ${meta.genesisHash}`],
    ['operator', meta.operator],
    ['feeds', String(seen.feeds.length)],
    ['triggers', String(seen.triggers.length)],
  ])
  const accounts = seen.accounts.map(({ role, address, balanceWei }) => [role, address, balanceWei === null ? '-' : fsn(balanceWei)])
  const text = `${about}\n\n${heights}\n\n${table(['account', 'address', 'balance'], accounts)}`
  return { json: { edge: { meta, health }, validators, accounts: seen.accounts }, text }
}

async function everyPage(session: Session) {
  const items: unknown[] = []
  for (let cursor: string | undefined; ;) {
    const page = await session.client().evidence({ limit: 200, ...(cursor === undefined ? {} : { cursor }) })
    items.push(...page.items)
    if (page.next === null) return items
    cursor = page.next
  }
}

async function exportEvidence(session: Session): Promise<Outcome> {
  const oracle = await everyPage(session)
  const consensus = await askValidator(await session.rpcUrl(), zValidatorEvidence, 'fusion_evidence')
  const { genesisHash, chainId } = await session.client().meta()
  const json = { chainId, genesisHash, oracle, consensus }
  const file = session.option('out')
  if (file === undefined) return { json, text: JSON.stringify(json, null, 2) }
  writeFileSync(file, `${JSON.stringify(json, null, 2)}\n`)
  return {
    json: { file, oracle: oracle.length, consensus: consensus.length },
    text: `${oracle.length} oracle and ${consensus.length} consensus faults in ${file}`,
  }
}

function verifyEvidence(session: Session): Promise<Outcome> {
  const name = session.operand(0)
  let json: unknown
  try {
    json = JSON.parse(readFileSync(name, 'utf8'))
  } catch {
    throw new UsageError(`${name} is not a readable JSON file`)
  }
  const file = zProofFile.safeParse(json)
  if (!file.success) throw new UsageError(`${name} is not a file of fusion evidence export`)
  const verdicts = file.data.oracle.map((proof) => convicts(proof, file.data.genesisHash))
  const rows = verdicts.map((verdict, index) => [String(index), verdict?.offence ?? 'proves nothing', verdict?.offender ?? ''])
  const text = table(['proof', 'fault', 'by'], rows, [0])
  if (verdicts.includes(null)) throw new CommandFailed(`not every proof holds on genesis ${file.data.genesisHash}\n${text}`)
  return Promise.resolve({ json: { genesisHash: file.data.genesisHash, proofs: verdicts }, text })
}

/** Commands about the network. */
export const networkCommands: readonly Command[] = [
  { path: 'status', operands: '', summary: 'edge, validators and their heads, accounts', run: status },
  {
    path: 'evidence export',
    operands: '',
    summary: 'proven faults of providers, reporters and validators, with both signatures',
    options: { out: { type: 'string', value: 'FILE', help: 'write to a file instead of printing' } },
    run: exportEvidence,
  },
  {
    path: 'evidence verify',
    operands: '<file>',
    summary: 'checks the oracle proofs of an exported file by their signatures alone, offline',
    run: verifyEvidence,
  },
]
