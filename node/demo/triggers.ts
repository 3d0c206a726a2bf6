/** The demo's triggers, one of each kind a newcomer asks for: time, provider feed, web source, foreign payment. @module */
import type { TriggerJson } from '#shared/api/trigger.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { sourceSetId } from '#shared/oracle/ids.ts'
import type { Address, UnixMs } from '#shared/types.ts'
import type { DemoContract } from '#node/demo/contracts.ts'
import { OWNER_INDEX, devAccount } from '#node/supervisor/accounts.ts'
import { FOREIGN_CHAIN_ID } from '#node/supervisor/parts.ts'

/** Account on the foreign chain that the demo's payments go to. */
const PAYEE_INDEX = 6
/** Least payment that counts, in the foreign chain's smallest unit. */
export const PAYMENT_WEI = 10n ** 17n
const YEAR_MS = 365 * 86_400_000

export const payee = (): Address => devAccount(PAYEE_INDEX).address

type Common = Pick<TriggerJson, 'v' | 'limits' | 'onRevert' | 'funding'>

const common = (nowMs: UnixMs): Common => ({
  v: 1,
  limits: { expiresAt: nowMs + YEAR_MS, maxFires: 1_000_000, cooldownSec: 0, maxFeePerGas: '100000000000', freshForSec: 0 },
  onRevert: { retries: 2, backoffSec: 5, thenPause: false },
  funding: { reserve: '0', lowWater: '0', tip: '2000000000000000', attestationFee: '1000000000000000' },
})

function heartbeat(to: Address, nowMs: UnixMs): TriggerJson {
  return {
    ...common(nowMs),
    name: 'Heartbeat',
    mode: {
      type: 'timing',
      when: { kind: 'interval', anchor: nowMs - (nowMs % 1000), everySec: 15 },
      missed: { mode: 'latest', graceSec: 60 },
    },
    action: { to, abi: 'beat(uint64)', args: [{ ref: 'fire.scheduledAt' }], gasLimit: 200_000 },
  }
}

function rain(to: Address, nowMs: UnixMs): TriggerJson {
  return {
    ...common(nowMs),
    name: 'Rain insurance',
    mode: {
      type: 'event',
      when: {
        kind: 'feed.compare',
        source: { feed: 'demo/seattle-precipitation', maxAgeSec: 120 },
        op: 'ge',
        value: '2',
        edge: { mode: 'rising', rearm: '1' },
      },
    },
    action: { to, abi: 'rained(int256,bytes32)', args: [{ ref: 'feed.value' }, { ref: 'report.digest' }], gasLimit: 250_000 },
  }
}

function alarm(to: Address, nowMs: UnixMs): TriggerJson {
  return {
    ...common(nowMs),
    name: 'Price alarm',
    mode: {
      type: 'event',
      when: {
        kind: 'feed.compare',
        source: { feed: 'edge-http/json-source', maxAgeSec: 120 },
        op: 'ge',
        value: '1450',
        edge: { mode: 'rising', rearm: '1440' },
      },
    },
    action: {
      to,
      abi: 'ring(int256,uint64,bytes32)',
      args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
      gasLimit: 300_000,
    },
  }
}

function payment(to: Address, nowMs: UnixMs): TriggerJson {
  const owner = devAccount(OWNER_INDEX).address
  return {
    ...common(nowMs),
    name: 'Payment gate',
    mode: {
      type: 'event',
      when: {
        kind: 'chain.deposit',
        chain: String(FOREIGN_CHAIN_ID),
        reporters: sourceSetId(owner, 'edge-watch', nobleSuite),
        to: payee(),
        asset: 'native',
        min: String(PAYMENT_WEI),
        finality: { level: 'depth', confirmations: 3 },
      },
    },
    action: {
      to,
      abi: 'paid(address,uint256,bytes32)',
      args: [{ ref: 'deposit.from' }, { ref: 'deposit.amount' }, { ref: 'deposit.txid' }],
      gasLimit: 250_000,
    },
  }
}

/** The trigger of each contract; the payment gate only where there is a foreign chain. */
export function demoTriggers(
  contracts: Readonly<Record<DemoContract, Address>>,
  hasForeignChain: boolean,
  nowMs: UnixMs,
): readonly Readonly<{ contract: DemoContract; trigger: TriggerJson }>[] {
  return [
    { contract: 'heartbeat', trigger: heartbeat(contracts.heartbeat, nowMs) },
    { contract: 'rainInsurance', trigger: rain(contracts.rainInsurance, nowMs) },
    { contract: 'priceAlarm', trigger: alarm(contracts.priceAlarm, nowMs) },
    ...(hasForeignChain ? [{ contract: 'paymentGate' as const, trigger: payment(contracts.paymentGate, nowMs) }] : []),
  ]
}
