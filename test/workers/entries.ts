/** Rows of the calling list for tests. @module */
import { descHash } from '#shared/trigger/codec.ts'
import { entryId, stableCaller } from '#shared/trigger/ids.ts'
import type { Entry, Mode, TriggerDescription } from '#shared/trigger/types.ts'
import type { Address } from '#shared/types.ts'

/** The contract every test trigger calls. */
export const TARGET = `0x${'ab'.repeat(20)}` as const

/** An active, armed and funded row, the owner's `index`-th. */
export function makeEntry(owner: Address, index: bigint, mode: Mode, change: Partial<Entry> = {}): Entry {
  const description: TriggerDescription = {
    version: 1,
    name: `entry ${index}`,
    mode,
    action: { to: TARGET, valueWei: 0n, selector: '0x12345678', types: [], args: [], gasLimit: 100_000 },
    limits: {
      notBeforeMs: 0,
      expiresAtMs: Date.now() + 86_400_000,
      maxFires: 100,
      cooldownSec: 0,
      maxFeePerGasWei: 10n ** 10n,
      freshForSec: 0,
    },
    onRevert: { retries: 0, backoffSec: 0, thenPause: false },
    funding: { reserveWei: 0n, lowWaterWei: 0n, tipWei: 0n, attestationFeeWei: 0n },
  }
  return {
    id: entryId(owner, index),
    owner,
    caller: stableCaller(owner),
    revision: 1,
    description,
    descHash: descHash(description),
    status: 'ACTIVE',
    registeredAt: { height: 0, timeMs: 0 },
    fundingWei: 10n ** 18n,
    fires: 0,
    missed: 0,
    attempt: 0,
    backoffUntilMs: 0,
    lastFireMs: 0,
    dueAt: 0,
    armed: true,
    cursor: 0n,
    edgeCount: 0,
    ...change,
  }
}
