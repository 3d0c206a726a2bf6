/**
 * Who earns what in one block: emission out of the reserve, tips and base fees out of the fee collector. Everything is a transfer, so
 * the sum of balances never changes; what nobody earned, and every rounding rest, stays in or goes to the reserve.
 * Source: whitepaper 6.3.2, 3.4.3; shares as specified in docs/protocol.md.
 * @module
 */
import type { ExecutionInput, Validator } from '#shared/hhcm/types.ts'
import { FEE_COLLECTOR, NODE_RESERVE } from '#shared/system.ts'
import type { Address, Lane, Wei } from '#shared/types.ts'

export type Transfer = Readonly<{ from: Address; to: Address; amountWei: Wei }>

/** What the block earned and who took part. */
export type BlockEarnings = Readonly<{
  /** Balance of the reserve before the emission. */
  reserveWei: Wei
  /** Emission per block = reserve × rate >> 48. */
  emissionRate: bigint
  /** Tips of the transactions of each lane, lane order. */
  tipsWei: readonly Wei[]
  /** Lanes whose author left out a trigger that was due. */
  omitted: ReadonlySet<Lane>
}>

/** Percent of the emission. The rest is not paid out. */
const EMISSION_PERCENT = { author: 25n, packages: 35n, voters: 20n } as const
/** Percent of the tips of a lane; the block's author has what is left. */
const TIP_PERCENT = { packageAuthor: 60n, coSigners: 20n, author: 20n } as const
const EMISSION_SHIFT = 48n

/** Parts of an amount in proportion to stake, rounded down; `totalStakeWei` may exceed the sum of the members' stakes. */
function byStake(amountWei: Wei, members: readonly Validator[], totalStakeWei: Wei): readonly Readonly<{ to: Address; amountWei: Wei }>[] {
  if (totalStakeWei === 0n) return []
  return members.map(({ address, stakeWei }) => ({ to: address, amountWei: (amountWei * stakeWei) / totalStakeWei }))
}

const stakeOf = (members: readonly Validator[]): Wei => members.reduce((sum, { stakeWei }) => sum + stakeWei, 0n)

function emissionTransfers(input: ExecutionInput, validators: readonly Validator[], earnings: BlockEarnings): Transfer[] {
  const emissionWei = (earnings.reserveWei * earnings.emissionRate) >> EMISSION_SHIFT
  const laneCount = BigInt(input.packages.length)
  const included = BigInt(input.packages.filter((item) => item !== null).length)
  const paid = [{ to: input.author, amountWei: (emissionWei * EMISSION_PERCENT.author * included) / laneCount / 100n }]
  const packageWei = (emissionWei * EMISSION_PERCENT.packages) / laneCount / 100n
  for (const [lane, item] of input.packages.entries()) {
    if (item !== null && !earnings.omitted.has(lane)) paid.push({ to: item.header.author, amountWei: packageWei })
  }
  const active = new Set([...input.voters, ...input.coSigners.flat()])
  const members = validators.filter(({ address }) => active.has(address))
  paid.push(...byStake((emissionWei * EMISSION_PERCENT.voters) / 100n, members, stakeOf(validators)))
  return paid.map((part) => ({ from: NODE_RESERVE, ...part }))
}

function tipTransfers(input: ExecutionInput, validators: readonly Validator[], earnings: BlockEarnings): Transfer[] {
  const paid: { to: Address; amountWei: Wei }[] = []
  for (const [lane, tipWei] of earnings.tipsWei.entries()) {
    const item = input.packages[lane]
    if (tipWei === 0n || item === null || item === undefined) continue
    paid.push({ to: item.header.author, amountWei: (tipWei * TIP_PERCENT.packageAuthor) / 100n })
    paid.push({ to: input.author, amountWei: (tipWei * TIP_PERCENT.author) / 100n })
    const signers = new Set(input.coSigners[lane] ?? [])
    const members = validators.filter(({ address }) => signers.has(address) && address !== item.header.author)
    paid.push(...byStake((tipWei * TIP_PERCENT.coSigners) / 100n, members, stakeOf(members)))
  }
  return paid.map((part) => ({ from: FEE_COLLECTOR, ...part }))
}

/**
 * All transfers at the end of a block, in order, zero amounts left out. `collectorWei` is the collector's whole balance: it is empty
 * afterwards, because base fees and every rest go to the reserve.
 */
export function blockTransfers(
  input: ExecutionInput,
  validators: readonly Validator[],
  earnings: BlockEarnings,
  collectorWei: Wei,
): readonly Transfer[] {
  const tips = tipTransfers(input, validators, earnings)
  const restWei = collectorWei - tips.reduce((sum, { amountWei }) => sum + amountWei, 0n)
  const fees: Transfer = { from: FEE_COLLECTOR, to: NODE_RESERVE, amountWei: restWei }
  return [...emissionTransfers(input, validators, earnings), ...tips, fees].filter(({ amountWei }) => amountWei > 0n)
}
