/** `fusion_` methods: consensus objects, calling list and feeds of this network. @module */
import { nativeLaneKey } from '#node/pool/native-transaction.ts'
import { userLaneKey } from '#shared/chain/user-transaction.ts'
import { requireBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { blockRef, bytes, count, hash } from '#node/rpc/params.ts'
import type { BlockRef } from '#node/rpc/params.ts'
import { invalidParams } from '#node/rpc/rpc-error.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { encodeHeader } from '#shared/hhcm/codec.ts'
import { dutiesOf } from '#shared/hhcm/duties.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import { slotSeed } from '#shared/hhcm/randomness.ts'
import type { BlockEnvelope, Certificate } from '#shared/hhcm/types.ts'
import * as system from '#shared/system.ts'
import type { Hash } from '#shared/types.ts'
import * as z from 'zod'

const PAGE_LIMIT_MAX = 500

function meta({ config, params, clientVersion }: RpcContext): unknown {
  return {
    clientVersion,
    chainId: config.chainId,
    genesisHash: config.genesisHash,
    genesisTimeMs: config.genesisTimeMs,
    slotMs: config.slotMs,
    laneCount: config.laneCount,
    powTries: config.powTries,
    idleSlots: config.idleSlots,
    blockGasLimit: params.blockGasLimit.toString(),
    blockCallLimit: params.blockCallLimit,
    initialBaseFeeWei: params.initialBaseFeeWei.toString(),
    self: config.self,
    validators: config.validators.map(({ address, consensusKey, stakeWei }) => ({ address, consensusKey, stakeWei: stakeWei.toString() })),
    system: {
      callingList: system.CALLING_LIST,
      feedRegistry: system.FEED_REGISTRY,
      nodeReserve: system.NODE_RESERVE,
      feeCollector: system.FEE_COLLECTOR,
      staking: system.STAKING,
      teamVesting: system.TEAM_VESTING,
      foundation: system.FOUNDATION,
      triggerDecoder: system.TRIGGER_DECODER,
      keyManager: system.KEY_MANAGER,
      keyPrecompile: system.KEY_PRECOMPILE,
    },
  }
}

function finality({ chain }: RpcContext): unknown {
  const point = ({ hash: blockHash, header }: BlockEnvelope) => ({ number: header.number, hash: blockHash, slot: header.slot })
  const finalized = chain.finalized()
  const pointers = chain.store.pointers()
  return {
    head: point(chain.head()),
    safe: point(chain.safe()),
    finalized: point(finalized),
    justifiedSlot: pointers?.justified.slot,
    finalizedSlot: pointers?.finalized.slot,
    voters: (chain.store.finalityVotes(finalized.hash) ?? []).map(({ voter }) => voter),
  }
}

/** Canonical header of a block, which proves its randomness to contracts; and its height and hash. */
function headerOf(ref: BlockRef, context: RpcContext): unknown {
  const { header, hash: blockHash } = requireBlock(ref, context)
  return { number: header.number, hash: blockHash, slot: header.slot, randomness: header.randomness, raw: bytesToHex(encodeHeader(header)) }
}

/** Groups of the slot after a block: per lane its members in author order, the winner first. */
function groups(ref: BlockRef, context: RpcContext): unknown {
  const { config, crypto } = context
  const { header, hash: parentHash } = requireBlock(ref, context)
  const slot = header.slot + 1
  const duties = dutiesOf(config, slotSeed(header, slot, crypto.sha256), crypto.sha256)
  return {
    slot,
    parentHash,
    lanes: duties.map((members, lane) => ({ lane, members: members.map((index) => config.validators[index]?.address) })),
  }
}

function certificateJson(certificate: Certificate): unknown {
  const { header, coSignatures, ticketNonce } = certificate
  return {
    lane: header.lane,
    rank: header.rank,
    author: header.author,
    txCount: header.txCount,
    bytes: header.bytes,
    txRoot: header.txRoot,
    coSigners: coSignatures.map(({ signer }) => signer),
    ticketNonce,
  }
}

function blockPackages(ref: BlockRef, context: RpcContext): unknown {
  const block = requireBlock(ref, context)
  const hashes = context.chain.store.packageHashes(block.hash) ?? []
  return {
    blockHash: block.hash,
    slot: block.header.slot,
    author: block.header.author,
    authorLane: block.header.lane,
    lanes: block.certificates.map((certificate, lane) =>
      certificate === null ? null : { hash: hashes[lane] ?? null, ...(certificateJson(certificate) as object) },
    ),
  }
}

function packageByHash(packageHash: Hash, { chain }: RpcContext): unknown {
  const found = chain.package(packageHash)
  if (found === null) return null
  return { hash: found.hash, ...found.header, txs: found.txs.map(bytesToHex) }
}

function evidence({ chain }: RpcContext): unknown {
  return chain.store.evidence().map(({ offence, offender, first, second }) => ({
    offence,
    offender,
    first: bytesToHex(first),
    second: bytesToHex(second),
  }))
}

/** Lane a raw transaction belongs to on the head. */
function laneOfRaw(raw: Uint8Array, { chain, pool, config }: RpcContext): unknown {
  try {
    const form = pool.decode(raw)
    const key = form.kind === 'user' ? userLaneKey(form.tx) : nativeLaneKey(form.tx)
    const { header, hash: parentHash } = chain.head()
    return { lane: laneOf(header.randomness, key, config.laneCount), laneCount: config.laneCount, parentHash, key }
  } catch (fault) {
    if (fault instanceof DecodeError) throw invalidParams(fault.message)
    throw fault
  }
}

async function readKey(key: unknown, ref: BlockRef, context: RpcContext): Promise<unknown> {
  try {
    return await context.native.read(key, requireBlock(ref, context).header)
  } catch (fault) {
    if (fault instanceof DecodeError) throw invalidParams(fault.message)
    throw fault
  }
}

const pageLimit = z
  .int()
  .positive()
  .max(PAGE_LIMIT_MAX)
  .nullish()
  .transform((value) => value ?? PAGE_LIMIT_MAX)
const page = z
  .strictObject({ after: count.nullish().transform((value) => value ?? 0), limit: pageLimit })
  .nullish()
  .transform((value) => value ?? { after: 0, limit: PAGE_LIMIT_MAX })
const sequence = z
  .union([z.int().nonnegative(), z.string().regex(/^\d{1,20}$/)])
  .nullish()
  .transform((value) => BigInt(value ?? 0))
const historyPage = z.strictObject({ feed: hash, after: sequence, limit: pageLimit })

/** What only this network has. */
export const FUSION_METHODS: MethodTable = {
  fusion_meta: method(z.tuple([]), (_, context) => meta(context)),
  fusion_finality: method(z.tuple([]), (_, context) => finality(context)),
  fusion_header: method(z.tuple([blockRef]), ([ref], context) => headerOf(ref, context)),
  fusion_groups: method(z.tuple([blockRef]), ([ref], context) => groups(ref, context)),
  fusion_blockPackages: method(z.tuple([blockRef]), ([ref], context) => blockPackages(ref, context)),
  fusion_package: method(z.tuple([hash]), ([value], context) => packageByHash(value, context)),
  fusion_evidence: method(z.tuple([]), (_, context) => evidence(context)),
  fusion_laneOf: method(z.tuple([bytes]), ([raw], context) => laneOfRaw(raw, context)),
  fusion_callingList: method(z.tuple([page, blockRef]), ([wanted, ref], context) =>
    context.native.callingList(wanted, requireBlock(ref, context).header),
  ),
  fusion_entry: method(z.tuple([hash, blockRef]), ([id, ref], context) => context.native.entry(id, requireBlock(ref, context).header)),
  fusion_explain: method(z.tuple([hash]), ([id], context) => context.native.explain(id)),
  fusion_sourceSets: method(z.tuple([blockRef]), ([ref], context) => context.native.sourceSets(requireBlock(ref, context).header)),
  fusion_feed: method(z.tuple([hash, blockRef]), ([id, ref], context) => context.native.feed(id, requireBlock(ref, context).header)),
  fusion_feedHistory: method(z.tuple([historyPage, blockRef]), ([{ feed, after, limit }, ref], context) =>
    context.native.feedHistory(feed, { after, limit }, requireBlock(ref, context).header),
  ),
  fusion_read: method(z.tuple([z.unknown(), blockRef]), ([key, ref], context) => readKey(key, ref, context)),
}
