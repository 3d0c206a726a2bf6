/**
 * What a package author owes: the due, funded occurrences of its lane, in the first block that can hold them, and who left one out.
 * Source: whitepaper 4.4.2; docs/protocol.md, "Who fires".
 * @module
 */
import type { NativeConfig } from '#node/evm/native/config.ts'
import { DueIndex } from '#node/evm/native/due-index.ts'
import { FEED_UPDATED_TOPIC } from '#node/evm/native/events.ts'
import { Judge, evaluationContext } from '#node/evm/native/judge.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import type { BlockContext } from '#node/evm/native-types.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { ExecutionInput, Package } from '#shared/hhcm/types.ts'
import { TRIGGER_TX_TYPE } from '#shared/params.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import { selectWithinBudget } from '#shared/trigger/budget.ts'
import type { DueItem } from '#shared/trigger/budget.ts'
import { fireGas, overheadGas, rowReserveWei } from '#shared/trigger/gas.ts'
import { triggerGasBudget } from '#shared/trigger/limits.ts'
import { decodeTriggerTx, encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Due, Entry } from '#shared/trigger/types.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Address, Hash, Lane, UnixMs, Wei } from '#shared/types.ts'

/** When and at which price the next block would run triggers. */
export type NextBlock = Readonly<{ timeMs: UnixMs; triggerBaseFeeWei: Wei }>
/** An occurrence that is due and paid for. */
export type DueTrigger = DueItem & Readonly<{ entry: Entry; due: Due }>

const MEMO_SIZE = 8

const keyOf = (tx: Pick<TriggerTx, 'entryId' | 'revision' | 'occurrence' | 'attempt'>): string =>
  [tx.entryId, tx.revision, tx.occurrence, tx.attempt].join('/')

const keyOfDue = ({ entry, due }: DueTrigger): string =>
  keyOf({ entryId: entry.id, revision: entry.revision, occurrence: due.occurrence, attempt: entry.attempt })

function itemOf(entry: Entry, due: Due): DueTrigger {
  const { mode, funding } = entry.description
  const isFire = due.action === 'fire'
  return {
    entry,
    due,
    entryId: entry.id,
    occurrence: due.occurrence,
    scheduledAtMs: due.scheduledAtMs,
    tipWei: isFire ? funding.tipWei : 0n,
    gas: isFire ? fireGas(entry.description) : overheadGas(mode, 0),
  }
}

/** Whether the report that made this due was stored in the parent itself: then edges have the first block to themselves. */
function isFreshReport({ entry, due }: DueTrigger, parent: ParentView): boolean {
  const { mode } = entry.description
  if (due.action !== 'fire' || entry.attempt > 0 || mode.type !== 'event' || mode.when.kind !== 'feed.compare') return false
  const { feed } = mode.when
  const logs = parent.ancestor(parent.header.number)?.receipts.flatMap((receipt) => receipt.logs) ?? []
  return logs.some(
    ({ address, topics }) =>
      address === FEED_REGISTRY && topics[0] === FEED_UPDATED_TOPIC && topics[1] === feed && BigInt(topics[2] ?? 0) === due.next.cursor,
  )
}

function triggersOf(item: Package | null): readonly TriggerTx[] {
  return (item?.txs ?? []).flatMap((raw) => {
    if (raw[0] !== TRIGGER_TX_TYPE) return []
    try {
      return [decodeTriggerTx(raw)]
    } catch (error) {
      if (error instanceof DecodeError) return []
      throw error
    }
  })
}

/** Finds due occurrences on any parent; answers are kept for the few parents that are asked about repeatedly. */
export class Duty {
  readonly #config: NativeConfig
  readonly #index: DueIndex
  readonly #memo = new Map<string, Promise<readonly DueTrigger[]>>()

  constructor(config: NativeConfig) {
    this.#config = config
    this.#index = new DueIndex(config)
  }

  /** Everything due on `parent` that an author can fire by itself. */
  due(parent: ParentView, next: NextBlock): Promise<readonly DueTrigger[]> {
    const { stateRoot, receiptsRoot, parentHash } = parent.header
    const key = [stateRoot, receiptsRoot, parentHash, next.timeMs, next.triggerBaseFeeWei].join('/')
    const known = this.#memo.get(key)
    if (known !== undefined) return known
    const found = this.#find(parent, next)
    this.#memo.set(key, found)
    if (this.#memo.size > MEMO_SIZE) {
      const [oldest] = this.#memo.keys()
      if (oldest !== undefined) this.#memo.delete(oldest)
    }
    return found
  }

  async #find(parent: ParentView, next: NextBlock): Promise<readonly DueTrigger[]> {
    const { rows, views } = this.#index.candidates(parent, next.timeMs)
    const paying = (entry: Entry): boolean =>
      next.triggerBaseFeeWei <= entry.description.limits.maxFeePerGasWei && entry.fundingWei >= rowReserveWei(entry, next.triggerBaseFeeWei)
    const candidates = [...rows.filter(paying), ...this.#viewsInTurn(views.filter(paying), parent.header.number)]
    const judge = new Judge(parent, evaluationContext(parent, next, this.#config), this.#config)
    const found: DueTrigger[] = []
    for (const entry of candidates) {
      const evaluation = await judge.evaluate(entry)
      if (evaluation.kind === 'due') found.push(itemOf(entry, evaluation.due))
    }
    return found
  }

  /** Views cost every validator a call per block: as many as the trigger budget would pay for, taken in turn. */
  #viewsInTurn(views: readonly Entry[], height: number): readonly Entry[] {
    const sorted = views.toSorted((left, right) => (left.id < right.id ? -1 : 1))
    const start = sorted.length === 0 ? 0 : height % sorted.length
    let gasLeft = Number(triggerGasBudget(this.#config.blockGasLimit))
    return [...sorted.slice(start), ...sorted.slice(0, start)].filter((entry) => {
      gasLeft -= overheadGas(entry.description.mode, 0)
      return gasLeft >= 0
    })
  }

  #isInLane(item: DueTrigger, parent: ParentView, lane: Lane): boolean {
    return laneOf(parent.header.randomness, { kind: 'entry', id: item.entryId }, this.#config.laneCount) === lane
  }

  /** Unsigned transactions of a lane, for its package author, as far as the trigger budget goes. */
  async ofLane(parent: ParentView, next: NextBlock, lane: Lane, author: Address): Promise<readonly Uint8Array[]> {
    const due = (await this.due(parent, next)).filter((item) => this.#isInLane(item, parent, lane) && !isFreshReport(item, parent))
    return selectWithinBudget(due, Number(triggerGasBudget(this.#config.blockGasLimit))).map(({ entry, occurrence }) =>
      encodeTriggerTx({
        chainId: this.#config.chainId,
        entryId: entry.id,
        revision: entry.revision,
        occurrence,
        attempt: entry.attempt,
        evidence: new Uint8Array(0),
        beneficiary: author,
        signature: null,
      }),
    )
  }

  /** Lanes whose package lacks an occurrence that was due, funded, and had room beside what all packages bring. */
  async omittedLanes(input: ExecutionInput, block: BlockContext): Promise<ReadonlySet<Lane>> {
    const due = await this.due(block.parent, block)
    const owed = due.filter((item) => !isFreshReport(item, block.parent))
    if (owed.length === 0) return new Set()
    const brought = new Set(input.packages.flatMap((item) => triggersOf(item).map((tx) => keyOf(tx))))
    let gasLeft = Number(triggerGasBudget(this.#config.blockGasLimit)) - this.#gasOfEvidence(input, block.parent)
    for (const item of due) if (brought.has(keyOfDue(item))) gasLeft -= item.gas
    const missing = owed.filter((item) => !brought.has(keyOfDue(item)) && item.gas <= gasLeft)
    const lanes = input.packages.flatMap((item, lane) =>
      item !== null && missing.some((one) => this.#isInLane(one, block.parent, lane)) ? [lane] : [],
    )
    return new Set(lanes)
  }

  /** Gas that transactions with evidence may take; their conditions are nobody's duty, but they use the same budget. */
  #gasOfEvidence(input: ExecutionInput, parent: ParentView): number {
    const ids = new Set<Hash>(
      input.packages.flatMap((item) => triggersOf(item).flatMap((tx) => (tx.evidence.length > 0 ? [tx.entryId] : []))),
    )
    return [...ids].reduce((total, id) => {
      const entry = this.#index.entry(parent, id)
      return entry === null ? total : total + fireGas(entry.description)
    }, 0)
  }
}
