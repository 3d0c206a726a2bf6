/** Descriptions of event and active triggers for the tests of native rules. @module */
import type { Condition, TriggerDescription } from '#shared/trigger/types.ts'
import type { Address } from '#shared/types.ts'
import { DAILY } from '#test/unit/trigger/samples.ts'
import { toFunctionSelector } from 'viem'

/** Attestation fee of a fire, divisible by three. */
export const FEE = 9n * 10n ** 12n
export type Call = Pick<TriggerDescription['action'], 'types' | 'args'> & Readonly<{ to: Address; signature: string }>

/** Fires without a tip; two retries, three seconds apart at first. */
export const onEvent = (
  when: Condition | 'active',
  { to, signature, types, args }: Call,
  change: Partial<TriggerDescription> = {},
): TriggerDescription => ({
  ...DAILY,
  mode: when === 'active' ? { type: 'active' } : { type: 'event', when },
  action: { to, valueWei: 0n, selector: toFunctionSelector(signature), types, args, gasLimit: 200_000 },
  limits: { ...DAILY.limits, expiresAtMs: 1_800_000_000_000 },
  onRevert: { retries: 2, backoffSec: 3, thenPause: false },
  funding: { reserveWei: 0n, lowWaterWei: 0n, tipWei: 0n, attestationFeeWei: FEE },
  ...change,
})
