/** Variables and secret of the local edge, in a file only its owner may read. @module */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OPERATOR_INDEX, OWNER_INDEX, devAccount } from '#node/supervisor/accounts.ts'
import { FOREIGN_CHAIN_ID, anvilUrl, jsonSourceUrl, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'

/** What the faucet of a development network gives: 10 FSN. */
const FAUCET_WEI = 10n * 10n ** 18n

const quote = (value: string): string => `'${value}'`

/** Writes the file and gives its path. */
export function writeEdgeVars(dataDir: string, ports: DevnetPorts, withForeignChain: boolean): string {
  const owner = devAccount(OWNER_INDEX).address
  const source = {
    owner,
    set: 'edge-http',
    feed: 'json-source',
    url: `${jsonSourceUrl(ports)}/price`,
    select: '$.price',
    decimals: 2,
  }
  const chain = { chainId: FOREIGN_CHAIN_ID, rpcUrl: anvilUrl(ports), reporterOwner: owner, reporterSet: 'edge-watch' }
  const vars = {
    RPC_URLS: rpcUrls(ports).join(','),
    FAUCET: String(FAUCET_WEI),
    DEV_HOSTS: `127.0.0.1:${ports.jsonSource}`,
    JSON_SOURCES: JSON.stringify([source]),
    FOREIGN_CHAINS: JSON.stringify(withForeignChain ? [chain] : []),
    OPERATOR_KEY: devAccount(OPERATOR_INDEX).privateKey,
  }
  const path = join(dataDir, 'edge-vars')
  writeFileSync(
    path,
    `${Object.entries(vars)
      .map(([name, value]) => `${name}=${quote(value)}`)
      .join('\n')}\n`,
    { mode: 0o600 },
  )
  chmodSync(path, 0o600)
  return path
}
