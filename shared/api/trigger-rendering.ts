/** Descriptions as the JSON of shared/api/trigger.ts. @module */
import { literalText } from '#shared/api/trigger-literal.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { invariant } from '#shared/fault.ts'
import { fromFixedPoint } from '#shared/oracle/decimal.ts'
import { parseAbiType } from '#shared/trigger/abi-word.ts'
import type { Action, Condition, Mode, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'

type ConditionJson = Extract<TriggerJson['mode'], { type: 'event' }>['when']

function conditionJson(when: Condition, decimalsOf: (feed: Hash) => number): ConditionJson {
  switch (when.kind) {
    case 'feed.compare': {
      const decimals = decimalsOf(when.feed)
      return {
        kind: when.kind,
        source: { feed: when.feed, maxAgeSec: when.maxAgeSec },
        op: when.op,
        value: fromFixedPoint(when.value, decimals),
        edge: { mode: 'rising', rearm: fromFixedPoint(when.rearm, decimals), holdReports: when.holdReports, holdSec: when.holdSec },
      }
    }
    case 'log':
      return { kind: when.kind, addresses: [...when.addresses], topics: when.topics.map((accepted) => [...accepted]) }
    case 'view':
      return {
        kind: when.kind,
        to: when.to,
        data: bytesToHex(when.data),
        gas: when.gasLimit,
        returns: 'bool',
        checkEvery: { blocks: when.everyBlocks },
        edge: { mode: when.edge },
      }
    case 'chain.deposit':
      return {
        kind: when.kind,
        chain: when.chain.toString(),
        reporters: when.reporters,
        to: when.to,
        asset: 'native',
        min: when.minWei.toString(),
        finality: { level: 'depth', confirmations: when.confirmations },
      }
  }
}

function modeJson(mode: Mode, decimalsOf: (feed: Hash) => number): TriggerJson['mode'] {
  if (mode.type === 'active') return mode
  if (mode.type === 'event') return { type: 'event', when: conditionJson(mode.when, decimalsOf) }
  const { when, missed } = mode
  if (when.kind === 'at') return { type: 'timing', when: { kind: 'at', times: [...when.timesMs] }, missed }
  if (when.kind === 'interval')
    return { type: 'timing', when: { kind: 'interval', anchor: when.anchorMs, everySec: when.everySec }, missed }
  return { type: 'timing', when, missed }
}

function actionJson({ to, valueWei, selector, types, args, gasLimit }: Action): TriggerJson['action'] {
  return {
    to,
    value: valueWei.toString(),
    abi: `${selector}(${types.join(',')})`,
    args: args.map((argument, index) => {
      if ('ref' in argument) return argument
      const type = parseAbiType(types[index] ?? '')
      invariant(type !== null, 'registration admits known types only')
      return { lit: literalText(type, argument.lit) }
    }),
    gasLimit,
  }
}

/** JSON of an admitted description. The function's name is not part of it, so `abi` shows the selector. */
export function triggerToJson(description: TriggerDescription, decimalsOf: (feed: Hash) => number): TriggerJson {
  const { limits, funding } = description
  return {
    v: 1,
    name: description.name,
    mode: modeJson(description.mode, decimalsOf),
    action: actionJson(description.action),
    limits: {
      notBefore: limits.notBeforeMs,
      expiresAt: limits.expiresAtMs,
      maxFires: limits.maxFires,
      cooldownSec: limits.cooldownSec,
      maxFeePerGas: limits.maxFeePerGasWei.toString(),
      freshForSec: limits.freshForSec,
    },
    onRevert: description.onRevert,
    funding: {
      reserve: funding.reserveWei.toString(),
      lowWater: funding.lowWaterWei.toString(),
      tip: funding.tipWei.toString(),
      attestationFee: funding.attestationFeeWei.toString(),
    },
  }
}
