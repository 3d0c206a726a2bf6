/** The answer of `GET /health`: whether this node follows its peers. @module */
import type { HhcmConfig } from '#shared/hhcm/types.ts'
import type { Chain } from '#node/chain.ts'
import type { PeerInfo } from '#node/net/network.ts'

/** Blocks a healthy node may be behind the best of its peers: what a slow slot and one lost message cost. */
const BEHIND_MAX = 4

type Health = Readonly<{ healthy: boolean; head: number; finalized: number; peers: number; behind: number }>

/** Healthy: it has a peer, unless it is alone by design, and is not far behind the best of them. */
export function createHealth(
  chain: Pick<Chain, 'head' | 'finalized'>,
  config: Pick<HhcmConfig, 'validators'>,
  peers: () => readonly Pick<PeerInfo, 'status'>[],
): () => Health {
  return () => {
    const head = chain.head().header.number
    const known = peers()
    const best = Math.max(head, ...known.map(({ status }) => status?.headNumber ?? 0))
    const hasCompany = known.length > 0 || config.validators.length === 1
    return {
      healthy: hasCompany && best - head <= BEHIND_MAX,
      head,
      finalized: chain.finalized().header.number,
      peers: known.length,
      behind: best - head,
    }
  }
}
