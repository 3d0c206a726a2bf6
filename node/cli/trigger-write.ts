/** `fusion trigger`: registering and changing, always by an intent signed here. @module */
import { readFileSync } from 'node:fs'
import { formatEther } from 'viem'
import type { Intent } from '#shared/api/http-trigger.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed, KEY_OPTIONS, UsageError } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import { readAddress, readFsn, readId } from '#node/cli/session.ts'
import { fields, fsn, instant } from '#node/cli/table.ts'
import { addressOf, readOwner } from '#node/sdk/index.ts'

const WAIT_MS = 60_000

function readTrigger(file: string): TriggerJson {
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch {
    throw new UsageError(`cannot read ${file === '-' ? 'standard input' : file}`)
  }
  try {
    return JSON.parse(text) as TriggerJson
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function followed(session: Session, sent: Intent): Promise<Outcome> {
  const intent = session.flag('no-wait') ? sent : await session.client().settled(sent.id, WAIT_MS)
  if (intent.status === 'FAILED') throw new CommandFailed(`${intent.action} failed: ${intent.detail ?? 'the transaction was refused'}`)
  const text = fields([
    ['intent', `${intent.id} (${intent.status})`],
    ['transaction', intent.txHash],
    ['trigger', intent.entryId ?? 'not known yet'],
    ['block', intent.blockNumber === null ? '-' : String(intent.blockNumber)],
  ])
  return { json: intent, text }
}

async function validate(session: Session): Promise<Outcome> {
  const trigger = readTrigger(session.operand(0))
  await session.client().describe(trigger)
  const answer = await session.client().validate(trigger)
  const text = fields([
    ['valid', 'yes'],
    ['descHash', answer.descHash],
    ['size', `${(answer.encoded.length - 2) / 2} bytes`],
    ['deposit', `${fsn(answer.depositWei)}, refunded by cancel`],
    ['a fire costs', `at most ${fsn(answer.feePerFireMaxWei)}`],
    ['gas of a fire', answer.gasPerFire],
    [
      'first due',
      answer.dueAt > 1_000_000_000_000 ? instant(answer.dueAt) : answer.dueAt === 0 ? 'when its event happens' : `block ${answer.dueAt}`,
    ],
  ])
  return { json: answer, text }
}

async function simulate(session: Session): Promise<Outcome> {
  const given = session.option('owner')
  const owner = given === undefined ? addressOf(await session.account()) : readAddress(given)
  const answer = await session.client().simulate(readTrigger(session.operand(0)), owner, session.option('feed-value'))
  const { call } = answer
  const rows: (readonly [string, string])[] = [['due', `${answer.due ? 'yes' : 'no'} (${answer.reason})`]]
  if (call !== undefined)
    rows.push(
      ['call', `${call.success ? 'succeeds' : `reverts${call.revertReason === undefined ? '' : `: ${call.revertReason}`}`}`],
      ['from', call.from],
      ['to', call.to],
      ['data', call.data],
    )
  return { json: answer, text: fields(rows) }
}

async function register(session: Session): Promise<Outcome> {
  const trigger = readTrigger(session.operand(0))
  const fund = session.option('fund')
  if (fund === undefined) throw new UsageError('--fund AMOUNT is needed: what the trigger has to pay its fires, in FSN')
  const fundWei = readFsn(fund)
  const account = await session.account()
  const client = session.client()
  const [{ depositWei }, meta, owner] = await Promise.all([
    client.validate(trigger),
    client.meta(),
    readOwner(await session.rpcUrl(), addressOf(account)),
  ])
  const neededWei = fundWei + BigInt(depositWei) + BigInt(meta.relayFeeMinWei)
  if (owner.balanceWei < neededWei)
    throw new CommandFailed(
      `${addressOf(account)} has ${fsn(owner.balanceWei)} in the calling list and needs ${fsn(neededWei)} (funding, deposit, relay fee); add with: fusion deposit ${formatEther(neededWei - owner.balanceWei)}`,
    )
  return followed(session, await client.register(account, trigger, fundWei))
}

async function revise(session: Session): Promise<Outcome> {
  const id = readId(session.operand(0))
  const client = session.client()
  const { revision } = await client.trigger(id)
  return followed(session, await client.revise(await session.account(), id, revision, readTrigger(session.operand(1))))
}

const plain =
  (action: 'pause' | 'resume' | 'cancel') =>
  async (session: Session): Promise<Outcome> =>
    followed(session, await session.client().act(await session.account(), action, readId(session.operand(0))))

const amount =
  (action: 'fund' | 'withdraw') =>
  async (session: Session): Promise<Outcome> => {
    const amountWei = readFsn(session.operand(1))
    return followed(session, await session.client().move(await session.account(), action, readId(session.operand(0)), amountWei))
  }

const SIGNED = { ...KEY_OPTIONS, 'no-wait': { type: 'boolean', help: 'do not wait until it is in a block' } } as const

/** Commands that try or change triggers. */
export const triggerWriteCommands: readonly Command[] = [
  {
    path: 'trigger validate',
    operands: '<file>',
    summary: 'check a description (JSON file, or - for standard input) and its price',
    run: validate,
  },
  {
    path: 'trigger simulate',
    operands: '<file>',
    summary: 'would it fire on the head, and what would its call do',
    options: {
      owner: { type: 'string', value: 'ADDRESS', help: 'owner to simulate for (default: the signing key)' },
      'feed-value': { type: 'string', value: 'DECIMAL', help: 'stands in for the newest value of its feed' },
      ...KEY_OPTIONS,
    },
    run: simulate,
  },
  {
    path: 'trigger register',
    operands: '<file>',
    summary: 'put a description on the calling list',
    options: { fund: { type: 'string', value: 'FSN', help: 'what it may spend on its fires' }, ...SIGNED },
    run: register,
  },
  { path: 'trigger revise', operands: '<id> <file>', summary: 'replace the description', options: SIGNED, run: revise },
  { path: 'trigger pause', operands: '<id>', summary: 'stop firing', options: SIGNED, run: plain('pause') },
  { path: 'trigger resume', operands: '<id>', summary: 'fire again', options: SIGNED, run: plain('resume') },
  {
    path: 'trigger cancel',
    operands: '<id>',
    summary: 'end it; deposit and funding go to your balance',
    options: SIGNED,
    run: plain('cancel'),
  },
  { path: 'trigger fund', operands: '<id> <fsn>', summary: 'move balance into its funding', options: SIGNED, run: amount('fund') },
  {
    path: 'trigger withdraw',
    operands: '<id> <fsn>',
    summary: 'move funding back to your balance',
    options: SIGNED,
    run: amount('withdraw'),
  },
]
