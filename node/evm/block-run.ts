/**
 * The run of one block's transactions: each is checked at its turn, executed or skipped, and accounted for.
 * Source: whitepaper 5.4.1; docs/protocol.md: order, budgets, fees.
 * @module
 */
import type { PlacedTransaction } from '#node/evm/classify.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import type { Machine } from '#node/evm/machine.ts'
import { openHost } from '#node/evm/native-host.ts'
import type { BlockContext, NativeContext } from '#node/evm/native-types.ts'
import { finishAccounts, runTransaction } from '#node/evm/run-transaction.ts'
import type { SkippedTransaction } from '#node/evm/types.ts'
import { logsBloom } from '#shared/chain/receipt.ts'
import type { Log, Receipt } from '#shared/chain/types.ts'
import { DecodeError, InvariantError } from '#shared/fault.ts'
import type { Package } from '#shared/hhcm/types.ts'
import { ATTESTATION_GAS_PERCENT, ATTESTATION_TX_TYPE, TRIGGER_GAS_PERCENT, TRIGGER_TX_TYPE } from '#shared/params.ts'
import { FEE_COLLECTOR, NODE_RESERVE } from '#shared/system.ts'
import type { Address, Wei } from '#shared/types.ts'

/** The sum of balances changed where nothing was destroyed: the block cannot be valid. */
export class SupplyBroken extends Error {
  override readonly name = 'SupplyBroken'
}

/** What an executed transaction adds to the block. */
type Executed = Readonly<{
  txType: number
  status: 0 | 1
  gasUsed: bigint
  effectiveGasPriceWei: Wei
  from: Address
  to: Address | null
  contractAddress: Address | null
  logs: readonly Log[]
  hasSelfDestruct: boolean
}>
type Turn = Readonly<{ skip: string }> | Executed

const percentOf = (gas: bigint, percent: number): bigint => (gas * BigInt(percent)) / 100n
const lesser = (left: bigint, right: bigint): bigint => (left < right ? left : right)

/** Largest part of a block's gas that triggers may use. */
export const triggerBudget = (blockGasLimit: bigint): bigint => percentOf(blockGasLimit, TRIGGER_GAS_PERCENT)

/** Runs transactions one after another on one machine. */
export class BlockRun {
  readonly #context: ExecutionContext
  readonly #machine: Machine
  readonly #block: BlockContext
  readonly #packages: readonly (Package | null)[]
  /** Gas kept for attestations while user transactions run; nothing when the packages hold none. */
  readonly #attestationReserve: bigint
  readonly txs: Uint8Array[] = []
  readonly receipts: Receipt[] = []
  readonly skipped: SkippedTransaction[] = []
  readonly tipsWei: Wei[]
  gasUsed = 0n
  triggerGasUsed = 0n
  #attestationGasUsed = 0n

  constructor(
    context: ExecutionContext,
    machine: Machine,
    block: BlockContext,
    packages: readonly (Package | null)[],
    hasAttestations: boolean,
  ) {
    this.#context = context
    this.#machine = machine
    this.#block = block
    this.#packages = packages
    this.#attestationReserve = hasAttestations ? percentOf(context.params.blockGasLimit, ATTESTATION_GAS_PERCENT) : 0n
    this.tipsWei = packages.map(() => 0n)
  }

  #blockGasLeft(): bigint {
    return this.#context.params.blockGasLimit - this.gasUsed
  }

  #gasLeftFor(kind: 'user' | 'trigger' | 'attestation'): bigint {
    const left = this.#blockGasLeft()
    const limit = this.#context.params.blockGasLimit
    if (kind === 'trigger') return lesser(left, triggerBudget(limit) - this.triggerGasUsed)
    if (kind === 'attestation') return lesser(left, percentOf(limit, ATTESTATION_GAS_PERCENT) - this.#attestationGasUsed)
    return left > this.#attestationReserve ? left - this.#attestationReserve : 0n
  }

  async #user(placed: PlacedTransaction): Promise<Turn> {
    if (placed.body.kind !== 'user') return { skip: 'MALFORMED' }
    const { tx } = placed.body
    const { chainId, blockGasLimit } = this.#context.params
    const outcome = await runTransaction(this.#machine, tx, { chainId, blockGasLimit, gasLeft: this.#gasLeftFor('user') })
    return 'skip' in outcome ? outcome : { ...outcome, txType: tx.type, from: tx.sender, to: tx.to }
  }

  async #native(placed: PlacedTransaction): Promise<Turn> {
    const { body } = placed
    if (body.kind !== 'trigger' && body.kind !== 'attestation') return { skip: 'MALFORMED' }
    const isTrigger = body.kind === 'trigger'
    const session = openHost(this.#machine, isTrigger ? this.#block.triggerBaseFeeWei : this.#block.baseFeeWei)
    const context: NativeContext = {
      ...this.#block,
      txHash: placed.hash,
      packageAuthor: this.#packages[placed.lane]?.header.author ?? this.#block.author,
      gasLeft: this.#gasLeftFor(body.kind),
      crypto: this.#context.crypto,
    }
    const { natives } = this.#context
    const outcome =
      body.kind === 'trigger'
        ? await natives.trigger(session.host, body.tx, context)
        : await natives.attestation(session.host, body.tx, context)
    if ('skip' in outcome) return outcome
    if (outcome.gasUsed > context.gasLeft) return { skip: 'BLOCK_GAS_EXHAUSTED' }
    await finishAccounts(this.#machine, session.results)
    return {
      ...outcome,
      txType: isTrigger ? TRIGGER_TX_TYPE : ATTESTATION_TX_TYPE,
      contractAddress: null,
      logs: session.logs,
      hasSelfDestruct: session.results.some(({ execResult }) => (execResult.selfdestruct?.size ?? 0) > 0),
    }
  }

  async #turn(placed: PlacedTransaction): Promise<Turn> {
    try {
      if (placed.body.kind === 'malformed') return { skip: placed.body.code }
      return placed.body.kind === 'user' ? await this.#user(placed) : await this.#native(placed)
    } catch (error) {
      // Deterministic faults of native rules or the EVM library cost the transaction its place, never the chain its life.
      if (error instanceof InvariantError || error instanceof SupplyBroken) throw error
      return { skip: error instanceof DecodeError ? error.code : 'EXECUTION_FAULT' }
    }
  }

  /** Balance the EVM destroyed goes to the reserve; any other change of the sum is a fault. */
  #creditDestroyed(executed: Executed): void {
    const { state } = this.#machine
    const deltaWei = state.transactionDelta()
    if (deltaWei === 0n) return
    if (deltaWei > 0n || !executed.hasSelfDestruct) throw new SupplyBroken(`a transaction changed the sum of balances by ${deltaWei}`)
    state.addBalance(NODE_RESERVE, -deltaWei)
  }

  #record(placed: PlacedTransaction, executed: Executed, collectedWei: Wei): void {
    const { hasSelfDestruct: _, ...receipt } = executed
    const { gasUsed, txType, logs } = receipt
    this.gasUsed += gasUsed
    if (txType === TRIGGER_TX_TYPE) this.triggerGasUsed += gasUsed
    if (txType === ATTESTATION_TX_TYPE) this.#attestationGasUsed += gasUsed
    const baseFeeWei = gasUsed * (txType === TRIGGER_TX_TYPE ? this.#block.triggerBaseFeeWei : this.#block.baseFeeWei)
    if (collectedWei > baseFeeWei) this.tipsWei[placed.lane] = (this.tipsWei[placed.lane] ?? 0n) + collectedWei - baseFeeWei
    this.txs.push(placed.raw)
    this.receipts.push({
      ...receipt,
      txHash: placed.hash,
      cumulativeGasUsed: this.gasUsed,
      logsBloom: logsBloom(logs, this.#context.crypto.keccak256),
    })
  }

  /** One transaction: executed with a receipt, or skipped without a trace in the state. */
  async run(placed: PlacedTransaction): Promise<void> {
    const { state, evm } = this.#machine
    state.beginTransaction()
    const checkpoint = state.mark()
    const collectorBefore = state.balance(FEE_COLLECTOR)
    const turn = await this.#turn(placed)
    if ('skip' in turn) {
      state.undoTo(checkpoint)
      evm.journal.cleanJournal()
      evm.transientStorage.clear()
      this.skipped.push({ hash: placed.hash, code: turn.skip })
      return
    }
    this.#creditDestroyed(turn)
    state.keep()
    this.#record(placed, turn, state.balance(FEE_COLLECTOR) - collectorBefore)
  }
}
