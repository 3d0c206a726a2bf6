/**
 * Execution of a TriggerTx at its turn: the occurrence must be due, exactly this one; the reserve is taken first; the row is written
 * before the call, so that whatever the called contract does to its own entry comes after it.
 * Source: whitepaper 4.2.1, 4.3, 4.4.2; docs/protocol.md, "TriggerTx 0x46".
 * @module
 */
import type { CallResult, NativeHost } from '#node/chain-reader.ts'
import type { NativeConfig } from '#node/evm/native/config.ts'
import { slotTimeMs } from '#node/evm/native/config.ts'
import { armedLog, firedLog, missedLog } from '#node/evm/native/events.ts'
import { readAtTurn, writeAtTurn } from '#node/evm/native/host-storage.ts'
import { Judge, evaluationContext } from '#node/evm/native/judge.ts'
import type { BlockContext, NativeContext, NativeOutcome, ParentView } from '#node/evm/native-types.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import { verifyDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { readFeed, readReporters, readSourceSet } from '#shared/oracle/feed-registry.ts'
import { CALLING_LIST, FEE_COLLECTOR } from '#shared/system.ts'
import { afterFire } from '#shared/trigger/after-fire.ts'
import type { CallingListRow } from '#shared/trigger/calling-list.ts'
import { creditAccount, firedWrite, readFired, readRow, rowWrites } from '#shared/trigger/calling-list.ts'
import { depositOccurrence } from '#shared/trigger/evaluate-deposit.ts'
import { fireReserveWei, isAttested, overheadGas, rowReserveWei } from '#shared/trigger/gas.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import { refuseTriggerTx, triggerTxSubmitter } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Due, Entry, VerifiedEvidence } from '#shared/trigger/types.ts'
import type { Address, Hash, UnixMs, Wei } from '#shared/types.ts'

/** Evidence as its verification left it. */
type Proof = Readonly<{ evidence: VerifiedEvidence | null; reporters: readonly Address[] }>
/** An occurrence that is due now, with all that running it needs. */
export type Runnable = Readonly<{ row: CallingListRow; due: Due; reporters: readonly Address[] }>
/** What judging needs of the state at this turn; the parent's own state when nothing ran yet. */
export type TurnState = Readonly<{ row: (id: Hash) => Promise<CallingListRow | null>; isFired: (key: Hash) => Promise<boolean> }>
type Skip = Readonly<{ skip: string }>

const NO_PROOF: Proof = { evidence: null, reporters: [] }

/** Rules about who made the transaction; an unsigned one is its package author's own. */
function refuseMaker(tx: TriggerTx, packageAuthor: Address, config: NativeConfig): string | null {
  const fault = refuseTriggerTx(tx, config.chainId)
  if (fault !== null) return fault
  if (tx.signature === null) return tx.beneficiary === packageAuthor ? null : 'BENEFICIARY'
  return triggerTxSubmitter(tx, config.genesisHash, config.crypto) === null ? 'SIGNATURE_INVALID' : null
}

async function verifyEvidence(
  tx: TriggerTx,
  entry: Entry,
  block: BlockContext,
  turn: TurnState,
  config: NativeConfig,
): Promise<Proof | Skip> {
  const { mode } = entry.description
  if (mode.type !== 'event' || mode.when.kind !== 'chain.deposit')
    return tx.evidence.length === 0 ? NO_PROOF : { skip: 'EVIDENCE_UNEXPECTED' }
  const set = readFrom(readSourceSet(mode.when.reporters, config.crypto), block.parent.state)
  if (set === null) return { skip: 'SOURCE_SET' }
  const verdict = verifyDepositEvidence(tx.evidence, set, config.genesisHash, config.crypto)
  if (!verdict.ok) return { skip: verdict.code }
  const { deposit, reporters } = verdict
  const isFired = await turn.isFired(fireKey(entry.id, entry.revision, depositOccurrence(deposit.chain, deposit.txid)))
  return { evidence: { deposits: [deposit], fired: () => isFired }, reporters }
}

/** Most gas the transaction can use. */
function gasNeeded(entry: Entry, due: Due, evidenceBytes: number): bigint {
  const overhead = overheadGas(entry.description.mode, evidenceBytes)
  return BigInt(due.action === 'fire' ? overhead + entry.description.action.gasLimit : overhead)
}

/** One judge per block, so that however many transactions name an entry, its view is called once. */
const judges = new WeakMap<ParentView, Readonly<{ timeMs: UnixMs; triggerBaseFeeWei: Wei; judge: Judge }>>()

function judgeOf({ parent, timeMs, triggerBaseFeeWei }: BlockContext, config: NativeConfig): Judge {
  const known = judges.get(parent)
  if (known?.timeMs === timeMs && known.triggerBaseFeeWei === triggerBaseFeeWei) return known.judge
  const judge = new Judge(parent, evaluationContext(parent, { timeMs, triggerBaseFeeWei }, config), config)
  judges.set(parent, { timeMs, triggerBaseFeeWei, judge })
  return judge
}

/** Whether the transaction's occurrence, and no other, is due on the parent view with the row as it is at this turn. */
export async function judgeTrigger(tx: TriggerTx, block: BlockContext, turn: TurnState, config: NativeConfig): Promise<Runnable | Skip> {
  const row = await turn.row(tx.entryId)
  if (row === null) return { skip: 'ENTRY_UNKNOWN' }
  const { entry } = row
  if (entry.registeredAt.height > block.parent.header.number) return { skip: 'NOT_ON_PARENT' }
  if (entry.revision !== tx.revision) return { skip: 'REVISION' }
  if (entry.attempt !== tx.attempt) return { skip: 'ATTEMPT' }
  const proof = await verifyEvidence(tx, entry, block, turn, config)
  if ('skip' in proof) return proof
  const evaluation = await judgeOf(block, config).evaluate(entry, proof.evidence)
  if (evaluation.kind !== 'due') return { skip: evaluation.reason }
  if (evaluation.due.occurrence !== tx.occurrence) return { skip: 'OCCURRENCE' }
  return { row, due: evaluation.due, reporters: proof.reporters }
}

/**
 * Place of a transaction among the triggers of its block: the time a timing trigger names, the parent's time for every other one,
 * 0 when the parent knows no such entry.
 */
export function scheduledAtMs(tx: TriggerTx, parent: ParentView, config: NativeConfig): UnixMs {
  const entry = readFrom(readRow(tx.entryId, config.crypto), parent.state)?.entry
  if (entry === undefined) return 0
  const { mode } = entry.description
  const named = BigInt(tx.occurrence)
  if (mode.type === 'timing' && mode.when.kind !== 'height' && named >> 48n === 0n) return Number(named)
  return slotTimeMs(config, parent.header.slot)
}

/** One execution: the runnable, and everything it happens in. */
class Fire {
  readonly #host: NativeHost
  readonly #context: NativeContext
  readonly #config: NativeConfig
  readonly #tx: TriggerTx
  readonly #run: Runnable

  constructor(host: NativeHost, context: NativeContext, config: NativeConfig, tx: TriggerTx, run: Runnable) {
    this.#host = host
    this.#context = context
    this.#config = config
    this.#tx = tx
    this.#run = run
  }

  get #entry(): Entry {
    return this.#run.row.entry
  }

  async #write(row: CallingListRow, next: Entry): Promise<void> {
    await writeAtTurn(this.#host, CALLING_LIST, rowWrites(row, next, this.#config.crypto))
  }

  async #row(): Promise<CallingListRow> {
    return (await readAtTurn(readRow(this.#entry.id, this.#config.crypto), this.#host)) ?? this.#run.row
  }

  get #key(): Hash {
    return fireKey(this.#entry.id, this.#entry.revision, this.#run.due.occurrence)
  }

  get #isDeposit(): boolean {
    const { mode } = this.#entry.description
    return mode.type === 'event' && mode.when.kind === 'chain.deposit'
  }

  /** Payments of the protocol itself always go out of the calling list, which holds every reserve. */
  async #pay(to: Address, amountWei: Wei): Promise<Wei> {
    if (amountWei === 0n) return 0n
    return (await this.#host.transfer(CALLING_LIST, to, amountWei)) ? amountWei : 0n
  }

  async #payTip(): Promise<Wei> {
    const { tipWei } = this.#entry.description.funding
    const { packageAuthor } = this.#context
    const { beneficiary } = this.#tx
    if (beneficiary === packageAuthor) return this.#pay(beneficiary, tipWei)
    const half = tipWei / 2n
    return (await this.#pay(packageAuthor, half)) + (await this.#pay(beneficiary, tipWei - half))
  }

  async #reporters(): Promise<readonly Address[]> {
    const { mode } = this.#entry.description
    if (mode.type !== 'event' || mode.when.kind !== 'feed.compare') return this.#run.reporters
    const { state } = this.#context.parent
    const { crypto } = this.#config
    const feed = readFrom(readFeed(mode.when.feed, crypto), state)
    const set = feed === null ? null : readFrom(readSourceSet(feed.sourceSet, crypto), state)
    return set === null ? [] : readFrom(readReporters(mode.when.feed, this.#run.due.next.cursor, set.members, crypto), state)
  }

  /** Equal parts; what does not divide stays with the owner. */
  async #payReporters(): Promise<Wei> {
    const { mode, funding } = this.#entry.description
    if (!isAttested(mode) || funding.attestationFeeWei === 0n) return 0n
    const reporters = await this.#reporters()
    if (reporters.length === 0) return 0n
    const part = funding.attestationFeeWei / BigInt(reporters.length)
    let paidWei = 0n
    for (const reporter of reporters) paidWei += await this.#pay(reporter, part)
    return paidWei
  }

  /** Gives back what the reserve did not need: to the entry, or to its owner when the call cancelled it. */
  async #refund(amountWei: Wei): Promise<void> {
    const row = await this.#row()
    if (row.entry.status === 'CANCELLED') {
      const credit = await readAtTurn(creditAccount(row.entry.owner, amountWei, this.#config.crypto), this.#host)
      await writeAtTurn(this.#host, CALLING_LIST, [credit])
    } else await this.#write(row, { ...row.entry, fundingWei: row.entry.fundingWei + amountWei })
  }

  async #call(): Promise<CallResult | null> {
    const { caller, description } = this.#entry
    const { to, valueWei, gasLimit } = description.action
    if (valueWei > 0n && !(await this.#host.transfer(CALLING_LIST, caller, valueWei))) return null
    const result = await this.#host.call({ caller, to, data: this.#run.due.callData, valueWei, gasLimit: BigInt(gasLimit) })
    if (!result.success && valueWei > 0n) await this.#host.transfer(caller, CALLING_LIST, valueWei)
    return result
  }

  /** The call failed and left no trace: the row is repeated or given up. True when the occurrence is consumed. */
  async #afterFailure(): Promise<boolean> {
    const row = await this.#row()
    const next = afterFire(this.#entry, this.#run.due, false, this.#context.timeMs)
    await this.#write(row, { ...next, fundingWei: row.entry.fundingWei })
    const isConsumed = next.attempt === 0
    if (!isConsumed && this.#isDeposit) await writeAtTurn(this.#host, CALLING_LIST, [firedWrite(this.#key, 0, this.#config.crypto)])
    return isConsumed
  }

  #outcome(status: 0 | 1, gasUsed: bigint): NativeOutcome {
    const { triggerBaseFeeWei } = this.#context
    return { status, gasUsed, effectiveGasPriceWei: triggerBaseFeeWei, from: this.#entry.caller, to: this.#entry.description.action.to }
  }

  /** `arm` and `miss`: the row moves, nothing is called. */
  async moveRow(): Promise<NativeOutcome> {
    const { row, due } = this.#run
    const { triggerBaseFeeWei, timeMs } = this.#context
    const gasUsed = gasNeeded(this.#entry, due, this.#tx.evidence.length)
    const costWei = rowReserveWei(this.#entry, triggerBaseFeeWei)
    await this.#write(row, { ...afterFire(this.#entry, due, true, timeMs), fundingWei: this.#entry.fundingWei - costWei })
    if ((await this.#pay(FEE_COLLECTOR, costWei)) !== costWei) return { skip: 'FUNDS' }
    this.#host.log(
      due.action === 'arm'
        ? armedLog(this.#entry, due, costWei)
        : missedLog(this.#entry, due, due.missedReason ?? 'MOVED', due.next.missedAdd, costWei),
    )
    return this.#outcome(1, gasUsed)
  }

  /** The call, and everybody's pay. */
  async fire(): Promise<NativeOutcome> {
    const { row, due } = this.#run
    const { triggerBaseFeeWei, timeMs } = this.#context
    const { action, mode } = this.#entry.description
    const reserveWei = fireReserveWei(this.#entry, triggerBaseFeeWei)
    await this.#write(row, { ...afterFire(this.#entry, due, true, timeMs), fundingWei: this.#entry.fundingWei - reserveWei })
    if (this.#isDeposit) await writeAtTurn(this.#host, CALLING_LIST, [firedWrite(this.#key, timeMs, this.#config.crypto)])
    const result = await this.#call()
    if (result === null) return { skip: 'FUNDS' }
    const isConsumed = result.success || (await this.#afterFailure())
    const gasUsed = BigInt(overheadGas(mode, this.#tx.evidence.length)) + result.gasUsed
    let costWei = await this.#pay(FEE_COLLECTOR, gasUsed * triggerBaseFeeWei)
    costWei += await this.#payTip()
    if (isConsumed) costWei += await this.#payReporters()
    if (result.success) costWei += action.valueWei
    await this.#refund(reserveWei - costWei)
    const { success, returnData } = result
    if (due.next.missedAdd > 0) this.#host.log(missedLog(this.#entry, due, due.missedReason ?? 'MOVED', due.next.missedAdd, 0n))
    this.#host.log(firedLog(this.#entry, due, { fireKey: this.#key, success, gasUsed, costWei, returnData }))
    return this.#outcome(success ? 1 : 0, gasUsed)
  }
}

/** Executes a trigger transaction at its turn. */
export async function executeTrigger(
  host: NativeHost,
  tx: TriggerTx,
  context: NativeContext,
  config: NativeConfig,
): Promise<NativeOutcome> {
  const refusal = refuseMaker(tx, context.packageAuthor, config)
  if (refusal !== null) return { skip: refusal }
  const turn: TurnState = {
    row: (id) => readAtTurn(readRow(id, config.crypto), host),
    isFired: (key) => readAtTurn(readFired(key, config.crypto), host),
  }
  const run = await judgeTrigger(tx, context, turn, config)
  if ('skip' in run) return run
  if (gasNeeded(run.row.entry, run.due, tx.evidence.length) > context.gasLeft) return { skip: 'TRIGGER_BUDGET' }
  const fire = new Fire(host, context, config, tx, run)
  return run.due.action === 'fire' ? fire.fire() : fire.moveRow()
}
