/** Parties of a development network beyond its validators: own processes, accounts funded from a development account. @module */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createWalletClient, defineChain, http, publicActions } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { Crew } from '#node/supervisor/crew.ts'
import { partyCommand, partyDir, partyKeyPath, passphrasePath, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import type { SupervisorSettings } from '#node/supervisor/settings.ts'
import type { Hex } from '#shared/types.ts'

const FSN = 10n ** 18n
/** What a party's account is filled up to: its bond and years of fees. */
const PARTY_WEI = 50n * FSN
/** Development account that pays. */
const PAYER_INDEX = 9

/** The passphrase of all key stores in this folder, made once. */
export function ensurePassphrase(dataDir: string): void {
  const path = passphrasePath(dataDir)
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
}

function ensureKey(dataDir: string, index: number): Hex {
  const path = partyKeyPath(dataDir, index)
  mkdirSync(partyDir(dataDir, index), { recursive: true, mode: 0o700 })
  if (!existsSync(path)) writeFileSync(path, `0x${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  return readFileSync(path, 'utf8').trim() as Hex
}

/** Starts what `--parties` asks for beyond the validators. */
export async function startExtraParties(
  settings: SupervisorSettings,
  ports: DevnetPorts,
  crew: Crew,
  print: (line: string) => void,
): Promise<void> {
  const { dataDir, chainId, parties } = settings
  const url = rpcUrls(ports)[0] ?? ''
  const chain = defineChain({
    id: chainId,
    name: 'fusion',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
  const payer = createWalletClient({
    chain,
    transport: http(url),
    account: privateKeyToAccount(devAccount(PAYER_INDEX).privateKey),
  }).extend(publicActions)
  for (let index = ports.rpc.length; index < parties; index++) {
    const { address } = privateKeyToAccount(ensureKey(dataDir, index))
    const missing = PARTY_WEI - (await payer.getBalance({ address }))
    if (missing > PARTY_WEI / 2n) {
      const hash = await payer.sendTransaction({ to: address, value: missing })
      await payer.waitForTransactionReceipt({ hash, pollingInterval: 300 })
    }
    await crew.start(partyCommand(dataDir, ports, chainId, index))
  }
  print(`  key parties    ${parties}: one in each validator${parties > ports.rpc.length ? `, ${parties - ports.rpc.length} more` : ''}`)
}
