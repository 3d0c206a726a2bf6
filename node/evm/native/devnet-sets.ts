/** Source sets of the development network. Keys come from the well-known test mnemonic; see docs/operations.md. @module */
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import type { Address, Wei } from '#shared/types.ts'

/** Funding of each provider set at genesis: 100,000 FSN pays for years of rounds at the initial base fee. */
const SET_FUNDING_WEI: Wei = 100_000n * 10n ** 18n
const ROUND_MS = 1500
const HEARTBEAT_SEC = 60

/** Who is behind the sets. */
export type DevnetParties = Readonly<{ owner: Address; providers: readonly Address[]; edge: Address }>

/** The three sets: four demo providers, an edge that reads a JSON source, an edge that watches a foreign chain. */
export function devnetSets({ owner, providers, edge }: DevnetParties): readonly SourceSetSpec[] {
  const feed = (name: string, decimals: number) => ({ name, decimals, deviationPpm: 0, heartbeatSec: HEARTBEAT_SEC })
  return [
    {
      name: 'demo',
      kind: 'provider',
      owner,
      members: providers,
      roundMs: ROUND_MS,
      fundingWei: SET_FUNDING_WEI,
      shards: [[feed('sp500', 2), feed('seattle-precipitation', 1), feed('seattle-temp-max', 1)]],
    },
    {
      name: 'edge-http',
      kind: 'provider',
      owner,
      members: [edge],
      roundMs: ROUND_MS,
      fundingWei: SET_FUNDING_WEI,
      shards: [[feed('json-source', 2)]],
    },
    { name: 'edge-watch', kind: 'reporter', owner, members: [edge], roundMs: ROUND_MS, fundingWei: 0n, shards: [] },
  ]
}

/** What the genesis document must allocate to the feed registry for these sets. */
export const fundingOf = (sets: readonly SourceSetSpec[]): Wei => sets.reduce((total, { fundingWei }) => total + fundingWei, 0n)
