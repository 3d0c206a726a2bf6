/**
 * Canonical binary encoding of a trigger description: the only form the chain knows. Every description has exactly one
 * encoding, and bytes that decode encode again to themselves. Layout: docs/protocol.md, "Trigger description".
 * Source: whitepaper 4.4.1 (description section).
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { signedInteger } from '#shared/trigger/abi-word.ts'
import { ByteReader } from '#shared/trigger/byte-reader.ts'
import type { Action, Argument, CompareOp, Condition, Missed, Mode, Ref, Timing, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** Largest encoding, bytes. */
export const DESCRIPTION_BYTES_MAX = 4096

const VERSION = 1
const TIME_BYTES = 6
const WEI_BYTES = 16
/** A feed's value is a signed 192-bit integer. */
const FEED_VALUE_BYTES = 24
const MODES = ['active', 'timing', 'event'] as const
const TIMINGS = ['at', 'interval', 'cron', 'height'] as const
const MISSED = ['skip', 'latest', 'all'] as const
const CONDITIONS = ['feed.compare', 'log', 'view', 'chain.deposit'] as const
const OPS: readonly CompareOp[] = ['lt', 'le', 'gt', 'ge']
const EDGES = ['rising', 'level'] as const
/** Position in this list is the byte on chain: append only. */
export const REFS: readonly Ref[] = [
  'fire.scheduledAt',
  'fire.key',
  'fire.seq',
  'feed.value',
  'feed.observedAt',
  'report.digest',
  'event.address',
  'event.topic1',
  'event.topic2',
  'event.topic3',
  'event.data',
  'deposit.from',
  'deposit.amount',
  'deposit.txid',
]

function unfit(path: string, message: string): never {
  throw new DecodeError('DESCRIPTION_INVALID', path, message)
}

function unsigned(path: string, value: bigint | number, length: number): Uint8Array {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) unfit(path, 'expected an integer')
  const wide = BigInt(value)
  if (wide < 0n || wide >= 1n << BigInt(8 * length)) unfit(path, `does not fit ${length} bytes`)
  return bigintToBytes(wide, length)
}

function signed(path: string, value: bigint, length: number): Uint8Array {
  const span = 1n << BigInt(8 * length)
  if (value < -span / 2n || value >= span / 2n) unfit(path, `does not fit ${length} bytes`)
  return bigintToBytes(value < 0n ? value + span : value, length)
}

function member<T>(path: string, members: readonly T[], value: T): Uint8Array {
  const index = members.indexOf(value)
  if (index < 0) unfit(path, 'not a known name')
  return Uint8Array.of(index)
}

function prefixed(path: string, content: Uint8Array, lengthBytes: 1 | 2): Uint8Array {
  return concatBytes(unsigned(path, content.length, lengthBytes), content)
}

function fixed(path: string, hex: string, length: number): Uint8Array {
  const bytes = hexToBytes(hex)
  if (bytes.length !== length) unfit(path, `expected ${length} bytes, got ${bytes.length}`)
  return bytes
}

function counted<T>(path: string, items: readonly T[], write: (item: T, path: string) => Uint8Array): Uint8Array {
  return concatBytes(unsigned(path, items.length, 1), ...items.map((item, index) => write(item, `${path}/${index}`)))
}

function encodeTiming(timing: Timing, path: string): Uint8Array {
  const kind = member(path, TIMINGS, timing.kind)
  switch (timing.kind) {
    case 'at':
      return concatBytes(
        kind,
        counted(`${path}/times`, timing.timesMs, (time, at) => unsigned(at, time, TIME_BYTES)),
      )
    case 'interval':
      return concatBytes(kind, unsigned(`${path}/anchor`, timing.anchorMs, TIME_BYTES), unsigned(`${path}/everySec`, timing.everySec, 4))
    case 'cron':
      return concatBytes(kind, prefixed(`${path}/expr`, utf8ToBytes(timing.expr), 1))
    case 'height':
      return concatBytes(kind, unsigned(`${path}/at`, timing.at, TIME_BYTES), unsigned(`${path}/every`, timing.every, 4))
  }
}

function encodeMissed(missed: Missed, path: string): Uint8Array {
  const mode = member(path, MISSED, missed.mode)
  if (missed.mode === 'skip') return mode
  const grace = unsigned(`${path}/graceSec`, missed.graceSec, 4)
  return missed.mode === 'latest' ? concatBytes(mode, grace) : concatBytes(mode, unsigned(`${path}/max`, missed.max, 1), grace)
}

function encodeCondition(condition: Condition, path: string): Uint8Array {
  const kind = member(path, CONDITIONS, condition.kind)
  switch (condition.kind) {
    case 'feed.compare':
      return concatBytes(
        kind,
        fixed(`${path}/feed`, condition.feed, 32),
        unsigned(`${path}/maxAgeSec`, condition.maxAgeSec, 4),
        member(`${path}/op`, OPS, condition.op),
        signed(`${path}/value`, condition.value, FEED_VALUE_BYTES),
        signed(`${path}/rearm`, condition.rearm, FEED_VALUE_BYTES),
        unsigned(`${path}/holdReports`, condition.holdReports, 2),
        unsigned(`${path}/holdSec`, condition.holdSec, 4),
      )
    case 'log':
      return concatBytes(
        kind,
        counted(`${path}/addresses`, condition.addresses, (address, at) => fixed(at, address, 20)),
        counted(`${path}/topics`, condition.topics, (accepted, position) =>
          counted(position, accepted, (topic, at) => fixed(at, topic, 32)),
        ),
      )
    case 'view':
      return concatBytes(
        kind,
        fixed(`${path}/to`, condition.to, 20),
        prefixed(`${path}/data`, condition.data, 2),
        unsigned(`${path}/gas`, condition.gasLimit, 4),
        unsigned(`${path}/everyBlocks`, condition.everyBlocks, 4),
        member(`${path}/edge`, EDGES, condition.edge),
      )
    case 'chain.deposit':
      return concatBytes(
        kind,
        unsigned(`${path}/chain`, condition.chain, 32),
        fixed(`${path}/reporters`, condition.reporters, 32),
        fixed(`${path}/to`, condition.to, 20),
        unsigned(`${path}/min`, condition.minWei, 32),
        unsigned(`${path}/confirmations`, condition.confirmations, 2),
      )
  }
}

function encodeMode(mode: Mode): Uint8Array {
  const type = member('/mode/type', MODES, mode.type)
  if (mode.type === 'active') return type
  if (mode.type === 'timing') return concatBytes(type, encodeTiming(mode.when, '/mode/when'), encodeMissed(mode.missed, '/mode/missed'))
  return concatBytes(type, encodeCondition(mode.when, '/mode/when'))
}

function encodeArgument(argument: Argument, path: string): Uint8Array {
  return 'lit' in argument
    ? concatBytes(Uint8Array.of(0), prefixed(path, argument.lit, 2))
    : concatBytes(Uint8Array.of(1), member(path, REFS, argument.ref))
}

function encodeAction(action: Action): Uint8Array {
  if (action.types.length !== action.args.length) unfit('/action/args', `${action.types.length} types, ${action.args.length} arguments`)
  return concatBytes(
    fixed('/action/to', action.to, 20),
    unsigned('/action/value', action.valueWei, WEI_BYTES),
    fixed('/action/abi', action.selector, 4),
    counted('/action/args', action.args, (argument, path) =>
      concatBytes(
        prefixed(path, utf8ToBytes(action.types[Number(path.slice('/action/args/'.length))] ?? ''), 1),
        encodeArgument(argument, path),
      ),
    ),
    unsigned('/action/gasLimit', action.gasLimit, 4),
  )
}

/** The one encoding of a description. @throws {DecodeError} DESCRIPTION_INVALID when a field does not fit its width */
export function encodeDescription(description: TriggerDescription): Uint8Array {
  const { name, mode, action, limits, onRevert, funding } = description
  const encoded = concatBytes(
    Uint8Array.of(VERSION),
    prefixed('/name', utf8ToBytes(name), 1),
    encodeMode(mode),
    encodeAction(action),
    unsigned('/limits/notBefore', limits.notBeforeMs, TIME_BYTES),
    unsigned('/limits/expiresAt', limits.expiresAtMs, TIME_BYTES),
    unsigned('/limits/maxFires', limits.maxFires, 4),
    unsigned('/limits/cooldownSec', limits.cooldownSec, 4),
    unsigned('/limits/maxFeePerGas', limits.maxFeePerGasWei, WEI_BYTES),
    unsigned('/limits/freshForSec', limits.freshForSec, 4),
    unsigned('/onRevert/retries', onRevert.retries, 1),
    unsigned('/onRevert/backoffSec', onRevert.backoffSec, 4),
    Uint8Array.of(onRevert.thenPause ? 1 : 0),
    unsigned('/funding/reserve', funding.reserveWei, WEI_BYTES),
    unsigned('/funding/lowWater', funding.lowWaterWei, WEI_BYTES),
    unsigned('/funding/tip', funding.tipWei, WEI_BYTES),
    unsigned('/funding/attestationFee', funding.attestationFeeWei, WEI_BYTES),
  )
  if (encoded.length > DESCRIPTION_BYTES_MAX) unfit('', `${encoded.length} bytes, at most ${DESCRIPTION_BYTES_MAX}`)
  return encoded
}

function readTiming(reader: ByteReader, path: string): Timing {
  const kind = reader.member(`${path}/kind`, TIMINGS)
  switch (kind) {
    case 'at':
      return { kind, timesMs: reader.list(`${path}/times`, reader.integer(`${path}/times`, 1), (at) => reader.integer(at, TIME_BYTES)) }
    case 'interval':
      return { kind, anchorMs: reader.integer(`${path}/anchor`, TIME_BYTES), everySec: reader.integer(`${path}/everySec`, 4) }
    case 'cron':
      return { kind, expr: reader.text(`${path}/expr`) }
    case 'height':
      return { kind, at: reader.integer(`${path}/at`, TIME_BYTES), every: reader.integer(`${path}/every`, 4) }
  }
}

function readMissed(reader: ByteReader, path: string): Missed {
  const mode = reader.member(`${path}/mode`, MISSED)
  if (mode === 'skip') return { mode }
  if (mode === 'latest') return { mode, graceSec: reader.integer(`${path}/graceSec`, 4) }
  return { mode, max: reader.integer(`${path}/max`, 1), graceSec: reader.integer(`${path}/graceSec`, 4) }
}

function readCondition(reader: ByteReader, path: string): Condition {
  const kind = reader.member(`${path}/kind`, CONDITIONS)
  switch (kind) {
    case 'feed.compare':
      return {
        kind,
        feed: reader.hex(`${path}/feed`, 32),
        maxAgeSec: reader.integer(`${path}/maxAgeSec`, 4),
        op: reader.member(`${path}/op`, OPS),
        value: signedInteger(reader.bytes(`${path}/value`, FEED_VALUE_BYTES)),
        rearm: signedInteger(reader.bytes(`${path}/rearm`, FEED_VALUE_BYTES)),
        holdReports: reader.integer(`${path}/holdReports`, 2),
        holdSec: reader.integer(`${path}/holdSec`, 4),
      }
    case 'log':
      return {
        kind,
        addresses: reader.list(`${path}/addresses`, reader.integer(`${path}/addresses`, 1), (at) => reader.hex(at, 20)),
        topics: reader.list(`${path}/topics`, reader.integer(`${path}/topics`, 1), (position) =>
          reader.list(position, reader.integer(position, 1), (at) => reader.hex(at, 32)),
        ),
      }
    case 'view':
      return {
        kind,
        to: reader.hex(`${path}/to`, 20),
        data: reader.bytes(`${path}/data`, reader.integer(`${path}/data`, 2)),
        gasLimit: reader.integer(`${path}/gas`, 4),
        everyBlocks: reader.integer(`${path}/everyBlocks`, 4),
        edge: reader.member(`${path}/edge`, EDGES),
      }
    case 'chain.deposit':
      return {
        kind,
        chain: reader.bigint(`${path}/chain`, 32),
        reporters: reader.hex(`${path}/reporters`, 32),
        to: reader.hex(`${path}/to`, 20),
        minWei: reader.bigint(`${path}/min`, 32),
        confirmations: reader.integer(`${path}/confirmations`, 2),
      }
  }
}

function readMode(reader: ByteReader): Mode {
  const type = reader.member('/mode/type', MODES)
  if (type === 'active') return { type }
  if (type === 'timing') return { type, when: readTiming(reader, '/mode/when'), missed: readMissed(reader, '/mode/missed') }
  return { type, when: readCondition(reader, '/mode/when') }
}

function readAction(reader: ByteReader): Action {
  const to = reader.hex('/action/to', 20)
  const valueWei = reader.bigint('/action/value', WEI_BYTES)
  const selector = reader.hex('/action/abi', 4)
  const pairs = reader.list('/action/args', reader.integer('/action/args', 1), (path) => {
    const type = reader.text(path)
    const argument: Argument = reader.flag(path) ? { ref: reader.member(path, REFS) } : { lit: reader.bytes(path, reader.integer(path, 2)) }
    return { type, argument }
  })
  return {
    to,
    valueWei,
    selector,
    types: pairs.map(({ type }) => type),
    args: pairs.map(({ argument }) => argument),
    gasLimit: reader.integer('/action/gasLimit', 4),
  }
}

/** The description with this encoding; says nothing about its sense. @throws {DecodeError} DESCRIPTION_INVALID on any other bytes */
export function decodeDescription(bytes: Uint8Array): TriggerDescription {
  const reader = new ByteReader(bytes)
  if (bytes.length > DESCRIPTION_BYTES_MAX) reader.fail('', `${bytes.length} bytes, at most ${DESCRIPTION_BYTES_MAX}`)
  const version = reader.integer('/v', 1)
  if (version !== VERSION) reader.fail('/v', `expected version ${VERSION}, got ${version}`)
  const description: TriggerDescription = {
    version: VERSION,
    name: reader.text('/name'),
    mode: readMode(reader),
    action: readAction(reader),
    limits: {
      notBeforeMs: reader.integer('/limits/notBefore', TIME_BYTES),
      expiresAtMs: reader.integer('/limits/expiresAt', TIME_BYTES),
      maxFires: reader.integer('/limits/maxFires', 4),
      cooldownSec: reader.integer('/limits/cooldownSec', 4),
      maxFeePerGasWei: reader.bigint('/limits/maxFeePerGas', WEI_BYTES),
      freshForSec: reader.integer('/limits/freshForSec', 4),
    },
    onRevert: {
      retries: reader.integer('/onRevert/retries', 1),
      backoffSec: reader.integer('/onRevert/backoffSec', 4),
      thenPause: reader.flag('/onRevert/thenPause'),
    },
    funding: {
      reserveWei: reader.bigint('/funding/reserve', WEI_BYTES),
      lowWaterWei: reader.bigint('/funding/lowWater', WEI_BYTES),
      tipWei: reader.bigint('/funding/tip', WEI_BYTES),
      attestationFeeWei: reader.bigint('/funding/attestationFee', WEI_BYTES),
    },
  }
  reader.end()
  return description
}

/** Name of a description: keccak256 of its encoding. */
export function descHash(description: TriggerDescription): Hash {
  return bytesToHex(keccak_256(encodeDescription(description)))
}
