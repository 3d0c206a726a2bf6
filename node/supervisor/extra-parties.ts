/** Parties of a development network beyond its validators: own processes, accounts funded from a development account. @module */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPublicClient, createWalletClient, defineChain, http, publicActions, zeroAddress } from 'viem'
import type { Chain } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import type { ValidatorKeys } from '#node/keys.ts'
import { readKeys } from '#node/keys.ts'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { Crew } from '#node/supervisor/crew.ts'
import { partyCommand, partyDir, partyKeyPath, passphrasePath, rpcUrls, validatorDir } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import type { SupervisorSettings } from '#node/supervisor/settings.ts'
import { waitFor } from '#node/supervisor/wait.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hex } from '#shared/types.ts'

const FSN = 10n ** 18n
/** What a party's account is filled up to: its bond and years of fees. */
const PARTY_WEI = 50n * FSN
/** Development account that pays. */
const PAYER_INDEX = 9
const SEND_TIMEOUT_MS = 15_000
const VOUCH_TIMEOUT_MS = 60_000

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

/**
 * Has every validator vouch for the accounts that are not admitted yet. Their parties send from the same accounts, so a number may be taken and the
 * word is sent again.
 */
async function vouchFor(accounts: readonly Address[], keys: readonly ValidatorKeys[], chain: Chain, url: string): Promise<void> {
  const reader = createPublicClient({ chain, transport: http(url) })
  const read = { address: KEY_MANAGER, abi: keyManagerAbi, functionName: 'standingOf' } as const
  const standings = await Promise.all(accounts.map((account) => reader.readContract({ ...read, args: [account] })))
  const strangers = accounts.filter((_, index) => standings[index]?.[0] === 0)
  if (strangers.length === 0) return
  const say = async ({ operatorKey }: ValidatorKeys): Promise<Hex> => {
    const writer = createWalletClient({ chain, transport: http(url), account: privateKeyToAccount(operatorKey) })
    const hash = await writer.writeContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName: 'vouch', args: [strangers] })
    const receipt = await reader.waitForTransactionReceipt({ hash, pollingInterval: 300, timeout: SEND_TIMEOUT_MS })
    if (receipt.status !== 'success') throw new Error(`expected transaction ${hash} to succeed, it reverted`)
    return hash
  }
  await Promise.all(
    keys.map((each) => waitFor(() => say(each), { what: `the word of ${each.address}`, timeoutMs: VOUCH_TIMEOUT_MS, everyMs: 1000 })),
  )
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
  const indexes = Array.from({ length: Math.max(parties - ports.rpc.length, 0) }, (_, place) => ports.rpc.length + place)
  const accounts = indexes.map((index) => privateKeyToAccount(ensureKey(dataDir, index)).address)
  await vouchFor(
    accounts,
    ports.rpc.flatMap((_, index) => readKeys(join(validatorDir(dataDir, index), 'keys')) ?? []),
    chain,
    url,
  )
  for (const [place, index] of indexes.entries()) {
    const address = accounts[place] ?? zeroAddress
    const missing = PARTY_WEI - (await payer.getBalance({ address }))
    if (missing > PARTY_WEI / 2n) {
      const hash = await payer.sendTransaction({ to: address, value: missing })
      await payer.waitForTransactionReceipt({ hash, pollingInterval: 300 })
    }
    await crew.start(partyCommand(dataDir, ports, chainId, index))
  }
  print(`  key parties    ${parties}: one in each validator${parties > ports.rpc.length ? `, ${parties - ports.rpc.length} more` : ''}`)
}
