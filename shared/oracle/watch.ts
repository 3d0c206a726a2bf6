/**
 * Following a foreign EVM chain block by block and stating payments of its native coin once they lie deep enough, as a pure machine.
 * Blocks must chain by parent hash; a reorganisation rewinds, and what cannot be followed is a visible gap, never a silent one.
 * The shell reports heads, fetches `wantedHeights` in order, keeps the state (its cursor) and signs the deposits; stating one twice is
 * harmless, since equal facts are equal bytes. Source: whitepaper 3.4.2, 4.2.2.
 * @module
 */
import { invariant } from '#shared/fault.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import type { Address, Hash, Height, UnixMs, Wei } from '#shared/types.ts'

/** Deepest confirmation depth a watch may ask for, and how many blocks back a reorganisation is followed. */
export const WATCH_DEPTH_MAX = 64
/** Blocks asked for at once while catching up. */
export const FETCH_AHEAD = 16

/** A native-coin payment of a successful foreign transaction. */
export type Transfer = Readonly<{ txid: Hash; from: Address; to: Address; amountWei: Wei }>
/** A foreign block as the shell read it. `transfers` may hold all payments; the machine keeps what is watched. */
export type ForeignBlock = Readonly<{ height: Height; hash: Hash; parentHash: Hash; timeMs: UnixMs; transfers: readonly Transfer[] }>

/** Payments to `to` are stated when their block has `confirmations` blocks on it, itself included. 1 ≤ confirmations ≤ 64. */
export type Watch = Readonly<{ to: Address; confirmations: number }>
/** Chain and the watches that entries of the calling list ask for at this moment. */
export type WatchConfig = Readonly<{ chain: bigint; watches: readonly Watch[] }>

/** A followed block. `statedDepth` is the largest depth whose deposits were stated. */
export type FollowedBlock = ForeignBlock & Readonly<{ statedDepth: number }>
/** Followed blocks, oldest first, chained by parent hash; `nextHeight` is the cursor, null before the first head. */
export type WatchState = Readonly<{ blocks: readonly FollowedBlock[]; nextHeight: Height | null; headHeight: Height }>

/** What the shell saw. */
export type WatchEvent =
  | Readonly<{ kind: 'head'; height: Height; hash: Hash }>
  | Readonly<{ kind: 'block'; block: ForeignBlock }>
  /** The foreign node no longer has the block asked for; `oldest` is the first it has. */
  | Readonly<{ kind: 'unavailable'; height: Height; oldest: Height }>

/** What came of it. */
export type WatchEffect =
  | Readonly<{ kind: 'deposit'; deposit: DepositFact; asOfMs: UnixMs }>
  /** A followed block left the chain. `statedDepth` above 0: deposits in it had been stated up to that depth. */
  | Readonly<{ kind: 'rewound'; height: Height; hash: Hash; statedDepth: number }>
  /** Blocks from..to were not followed, or not on the branch followed now: payments in them are unknown. */
  | Readonly<{ kind: 'gap'; from: Height; to: Height }>

/** Outcome of a step. */
export type WatchStep = Readonly<{ state: WatchState; effects: readonly WatchEffect[] }>

/** A watcher that begins at the first head it hears of. */
export const emptyWatch: WatchState = { blocks: [], nextHeight: null, headHeight: 0 }

/** The same watcher, reading the last `depth` followed blocks again: for watches that were added after those blocks were read. */
export function rescan(state: WatchState, depth: number): WatchState {
  if (state.nextHeight === null) return state
  const [oldest] = state.blocks.slice(-depth)
  return { ...state, blocks: state.blocks.slice(0, -depth), nextHeight: oldest?.height ?? state.nextHeight }
}

/** Heights to fetch now and to bring as `block` events in this order; empty when the head is reached. */
export function wantedHeights(state: WatchState): readonly Height[] {
  const { nextHeight, headHeight } = state
  if (nextHeight === null) return []
  const count = Math.max(0, Math.min(FETCH_AHEAD, headHeight - nextHeight + 1))
  return Array.from({ length: count }, (_, index) => nextHeight + index)
}

/** Removes followed blocks from `height` up, newest first. */
function rewind(state: WatchState, height: Height): WatchStep {
  const effects = state.blocks
    .filter((block) => block.height >= height)
    .toReversed()
    .map((block): WatchEffect => ({ kind: 'rewound', height: block.height, hash: block.hash, statedDepth: block.statedDepth }))
  return { state: { ...state, blocks: state.blocks.filter((block) => block.height < height), nextHeight: height }, effects }
}

function onHead(state: WatchState, height: Height, hash: Hash): WatchStep {
  const base: WatchState = { ...state, headHeight: height, nextHeight: state.nextHeight ?? height }
  const known = state.blocks.find((block) => block.height === height)
  if (known !== undefined && known.hash !== hash) return rewind(base, height)
  const [oldest] = state.blocks
  if (oldest === undefined || height >= oldest.height) return { state: base, effects: [] }
  // A chain that restarted below everything followed: nothing of it can be expected to connect.
  const { state: rewound, effects } = rewind(base, height)
  return { state: rewound, effects: height === 0 ? effects : [...effects, { kind: 'gap', from: 0, to: height - 1 }] }
}

function depositsOf(block: FollowedBlock, depth: number, config: WatchConfig): readonly WatchEffect[] {
  return block.transfers.flatMap((transfer) =>
    config.watches
      .filter(({ to, confirmations }) => to === transfer.to && confirmations > block.statedDepth && confirmations <= depth)
      .map(({ confirmations }): WatchEffect => ({
        kind: 'deposit',
        asOfMs: block.timeMs,
        deposit: { chain: config.chain, ...transfer, height: block.height, blockHash: block.hash, confirmations },
      })),
  )
}

/** States what has become deep enough, oldest block first, each depth once, and forgets what is too deep to matter. */
function append(blocks: readonly FollowedBlock[], block: FollowedBlock, config: WatchConfig) {
  const effects: WatchEffect[] = []
  const stated = [...blocks, block].map((one) => {
    const depth = block.height - one.height + 1
    effects.push(...depositsOf(one, depth, config))
    return { ...one, statedDepth: Math.max(one.statedDepth, depth) }
  })
  return { blocks: stated.slice(-WATCH_DEPTH_MAX), effects }
}

function onBlock(state: WatchState, block: ForeignBlock, config: WatchConfig): WatchStep {
  if (block.height !== state.nextHeight) return { state, effects: [] }
  const tip = state.blocks.at(-1)
  if (tip !== undefined && block.parentHash !== tip.hash) {
    const rewound = rewind(state, tip.height)
    if (rewound.state.blocks.length > 0 || tip.height === 0) return rewound
    // Nothing older is held to compare with: where the branches parted is unknown, and that is said.
    return { state: rewound.state, effects: [...rewound.effects, { kind: 'gap', from: tip.height - 1, to: tip.height - 1 }] }
  }
  invariant(tip === undefined || tip.height + 1 === block.height, 'the cursor follows the newest block')
  const transfers = block.transfers.filter(({ to }) => config.watches.some((watch) => watch.to === to))
  const { blocks, effects } = append(state.blocks, { ...block, transfers, statedDepth: 0 }, config)
  return { state: { blocks, nextHeight: block.height + 1, headHeight: Math.max(state.headHeight, block.height) }, effects }
}

function onUnavailable(state: WatchState, height: Height, oldest: Height): WatchStep {
  if (height !== state.nextHeight || oldest <= height) return { state, effects: [] }
  return { state: { ...state, blocks: [], nextHeight: oldest }, effects: [{ kind: 'gap', from: height, to: oldest - 1 }] }
}

/** One step. Blocks that were not wanted next are ignored, so repeats and reordering do no harm. */
export function stepWatch(state: WatchState, event: WatchEvent, config: WatchConfig): WatchStep {
  switch (event.kind) {
    case 'head':
      return onHead(state, event.height, event.hash)
    case 'block':
      return onBlock(state, event.block, config)
    case 'unavailable':
      return onUnavailable(state, event.height, event.oldest)
  }
}
