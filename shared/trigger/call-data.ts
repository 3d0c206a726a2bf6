/** The call a fire makes: which values a description may refer to, where they fit, and the bytes they become. @module */
import { concatBytes, hexToBytes } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import { invariant } from '#shared/fault.ts'
import { encodeAbiCall, integerWord, parseAbiType } from '#shared/trigger/abi-word.ts'
import type { AbiType } from '#shared/trigger/abi-word.ts'
import type { Action, DepositFact, FeedReport, Mode, Ref } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'

/** Log data a fire hands on, bytes; a larger log is missed with a reason. */
export const EVENT_DATA_BYTES_MAX = 4096

/** Everything one fire can refer to. */
export type FireValues = Readonly<{
  /** Unix milliseconds, or the height of a height trigger. */
  scheduledAt: number
  key: Hash
  seq: number
  report?: FeedReport
  log?: Log
  deposit?: DepositFact
}>

/** Whether a reference has a value in this mode. */
export function refHasSource(ref: Ref, mode: Mode): boolean {
  const kind = mode.type === 'event' ? mode.when.kind : mode.type
  if (ref.startsWith('fire.')) return true
  if (ref.startsWith('event.')) return kind === 'log'
  if (ref.startsWith('deposit.')) return kind === 'chain.deposit'
  return kind === 'feed.compare'
}

const isUintOf = (type: AbiType, bits: number): boolean => type.kind === 'uint' && type.bits >= bits
const isBytes32 = (type: AbiType): boolean => type.kind === 'fixedBytes' && type.length === 32

const isAddress = (type: AbiType): boolean => type.kind === 'address'
const isWord = (type: AbiType): boolean => type.kind !== 'bytes'
const FITS: Readonly<Record<Ref, (type: AbiType) => boolean>> = {
  'fire.scheduledAt': (type) => isUintOf(type, 48),
  'fire.key': isBytes32,
  'fire.seq': (type) => isUintOf(type, 32),
  'feed.value': (type) => isUintOf(type, 192) || (type.kind === 'int' && type.bits >= 192),
  'feed.observedAt': (type) => isUintOf(type, 48),
  'report.digest': isBytes32,
  'event.address': isAddress,
  'event.topic1': isWord,
  'event.topic2': isWord,
  'event.topic3': isWord,
  'event.data': (type) => type.kind === 'bytes',
  'deposit.from': isAddress,
  'deposit.amount': (type) => isUintOf(type, 256),
  'deposit.txid': isBytes32,
}

/** Whether every value of a reference fits a type. Topics go through unchanged into any one-word type. */
export function refFitsType(ref: Ref, type: AbiType): boolean {
  return FITS[ref](type)
}

const word = (value: bigint | number): Uint8Array => integerWord(BigInt(value))
const addressWord = (address: string): Uint8Array => concatBytes(new Uint8Array(12), hexToBytes(address))

function reportContent(ref: 'feed.value' | 'feed.observedAt' | 'report.digest', type: AbiType, report: FeedReport): Uint8Array {
  if (ref === 'report.digest') return hexToBytes(report.digest)
  if (ref === 'feed.observedAt') return word(report.observedAtMs)
  return word(type.kind === 'uint' && report.value < 0n ? 0n : report.value)
}

function depositContent(ref: 'deposit.from' | 'deposit.amount' | 'deposit.txid', deposit: DepositFact): Uint8Array {
  if (ref === 'deposit.txid') return hexToBytes(deposit.txid)
  return ref === 'deposit.from' ? addressWord(deposit.from) : word(deposit.amountWei)
}

function eventContent(ref: 'event.address' | 'event.topic1' | 'event.topic2' | 'event.topic3' | 'event.data', log: Log): Uint8Array {
  if (ref === 'event.data') return log.data
  if (ref === 'event.address') return addressWord(log.address)
  const topic = log.topics[ref === 'event.topic1' ? 1 : ref === 'event.topic2' ? 2 : 3]
  return topic === undefined ? new Uint8Array(32) : hexToBytes(topic)
}

function refContent(ref: Ref, type: AbiType, values: FireValues): Uint8Array {
  switch (ref) {
    case 'fire.scheduledAt':
      return word(values.scheduledAt)
    case 'fire.key':
      return hexToBytes(values.key)
    case 'fire.seq':
      return word(values.seq)
    case 'feed.value':
    case 'feed.observedAt':
    case 'report.digest':
      invariant(values.report !== undefined, 'registration admits feed references in feed conditions only')
      return reportContent(ref, type, values.report)
    case 'event.address':
    case 'event.topic1':
    case 'event.topic2':
    case 'event.topic3':
    case 'event.data':
      invariant(values.log !== undefined, 'registration admits event references in log conditions only')
      return eventContent(ref, values.log)
    case 'deposit.from':
    case 'deposit.amount':
    case 'deposit.txid':
      invariant(values.deposit !== undefined, 'registration admits deposit references in deposit conditions only')
      return depositContent(ref, values.deposit)
  }
}

/** Call data of one fire. A topic the log does not have is the zero word. */
export function buildCallData(action: Action, values: FireValues): Uint8Array {
  const contents = action.args.map((argument, index) => {
    const type = parseAbiType(action.types[index] ?? '')
    invariant(type !== null, 'registration admits known types only')
    return { type, content: 'lit' in argument ? argument.lit : refContent(argument.ref, type, values) }
  })
  return encodeAbiCall(hexToBytes(action.selector), contents)
}
