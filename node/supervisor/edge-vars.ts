/** Configuration of the local edge: its variables and secret in a file only its owner may read, and its tool's own file. @module */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OPERATOR_INDEX, OWNER_INDEX, devAccount } from '#node/supervisor/accounts.ts'
import { FOREIGN_CHAIN_ID, PROJECT_DIR, anvilUrl, edgeConfigPath, jsonSourceUrl, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'

/** What the faucet of a development network gives: 10 FSN. */
const FAUCET_WEI = 10n * 10n ** 18n

const quote = (value: string): string => `'${value}'`

/** Writes the file and gives its path. */
export function writeEdgeVars(dataDir: string, ports: DevnetPorts, parts: Readonly<{ foreignChain: boolean; demo: boolean }>): string {
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
    JSON_SOURCES: JSON.stringify(parts.demo ? [source] : []),
    FOREIGN_CHAINS: JSON.stringify(parts.foreignChain ? [chain] : []),
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

/**
 * Copies the edge's configuration into the data folder with absolute paths, because its tool builds beside the file it is given.
 * @throws {Error} when the project's own file does not have the two paths
 */
export function writeEdgeConfig(dataDir: string): void {
  let text = readFileSync(join(PROJECT_DIR, 'wrangler.toml'), 'utf8')
  for (const [name, path] of [
    ['main', 'workers/index.ts'],
    ['migrations_dir', 'migrations'],
  ] as const) {
    const line = `${name} = "${path}"`
    if (!text.includes(line)) throw new Error(`wrangler.toml has no line ${line}`)
    text = text.replace(line, `${name} = ${JSON.stringify(join(PROJECT_DIR, path))}`)
  }
  writeFileSync(edgeConfigPath(dataDir), text)
}
