/** The demo's contracts: deployed once with ordinary tools, found again on later starts. @module */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPublicClient, createWalletClient, defineChain, http, parseEther } from 'viem'
import type { Abi } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import * as z from 'zod'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { paymentGateAbi, paymentGateCreation } from '#shared/api/abi/payment-gate.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { rainInsuranceAbi, rainInsuranceCreation } from '#shared/api/abi/rain-insurance.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { devAccount } from '#node/supervisor/accounts.ts'

/** Account that owns the demo's contracts and triggers, and the one the insurance pays. */
const DEMO_OWNER_INDEX = 1
const INSURED_INDEX = 2
const PAYOUT_WEI = parseEther('1')
const COVER_WEI = parseEther('5000')
/** Prepaid for deposits and firings of all triggers. */
const BALANCE_WEI = parseEther('2000')

export const DEMO_CONTRACTS = ['heartbeat', 'rainInsurance', 'priceAlarm', 'paymentGate'] as const
export type DemoContract = (typeof DEMO_CONTRACTS)[number]

/** ABI of each contract, to name its events. */
export const DEMO_ABIS: Readonly<Record<DemoContract, Abi>> = {
  heartbeat: heartbeatAbi,
  rainInsurance: rainInsuranceAbi,
  priceAlarm: priceAlarmAbi,
  paymentGate: paymentGateAbi,
}

const hex = z.string().regex(/^0x[0-9a-f]+$/)
const stateSchema = z.strictObject({
  contracts: z.record(z.enum(DEMO_CONTRACTS), hex),
  triggers: z.partialRecord(z.enum(DEMO_CONTRACTS), hex),
})

/** What the demo has made on this chain. */
export type DemoState = Readonly<{
  contracts: Readonly<Record<DemoContract, Address>>
  triggers: Readonly<Partial<Record<DemoContract, Hash>>>
}>

const statePath = (dataDir: string): string => join(dataDir, 'demo.json')

export function saveDemo(dataDir: string, state: DemoState): void {
  writeFileSync(statePath(dataDir), `${JSON.stringify(state, null, 2)}\n`)
}

/** The state of an earlier start, null when there is none or it cannot be read. */
export function loadDemo(dataDir: string): DemoState | null {
  if (!existsSync(statePath(dataDir))) return null
  try {
    return stateSchema.parse(JSON.parse(readFileSync(statePath(dataDir), 'utf8'))) as DemoState
  } catch {
    // Half-written by an interrupted start: the demo is made again.
    return null
  }
}

/** The demo's owner as viem account. */
export const demoOwner = () => privateKeyToAccount(devAccount(DEMO_OWNER_INDEX).privateKey)

/** Wallet and reader on one validator. */
function chainClients(rpcUrl: string, chainId: number) {
  const chain = defineChain({
    id: chainId,
    name: 'FUSION development network',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  })
  const transport = http(rpcUrl, { retryCount: 2 })
  return {
    wallet: createWalletClient({ account: demoOwner(), chain, transport }),
    reader: createPublicClient({ chain, transport, pollingInterval: 300 }),
  }
}

/** Deploys the four contracts and prepays the triggers' owner balance. */
export async function deployDemo(rpcUrl: string, chainId: number): Promise<DemoState['contracts']> {
  const { wallet, reader } = chainClients(rpcUrl, chainId)
  const owner = wallet.account.address
  const insured = devAccount(INSURED_INDEX).address
  const first = await reader.getTransactionCount({ address: owner, blockTag: 'pending' })
  const sent = await Promise.all([
    wallet.deployContract({ abi: heartbeatAbi, bytecode: heartbeatCreation, args: [owner], nonce: first }),
    wallet.deployContract({
      abi: rainInsuranceAbi,
      bytecode: rainInsuranceCreation,
      args: [owner, insured, PAYOUT_WEI],
      value: COVER_WEI,
      nonce: first + 1,
    }),
    wallet.deployContract({ abi: priceAlarmAbi, bytecode: priceAlarmCreation, args: [owner], nonce: first + 2 }),
    wallet.deployContract({ abi: paymentGateAbi, bytecode: paymentGateCreation, args: [owner], nonce: first + 3 }),
    wallet.writeContract({ abi: callingListAbi, address: CALLING_LIST, functionName: 'deposit', value: BALANCE_WEI, nonce: first + 4 }),
  ])
  const receipts = await Promise.all(sent.map((hash) => reader.waitForTransactionReceipt({ hash, timeout: 60_000 })))
  const failed = receipts.find(({ status }) => status !== 'success')
  if (failed !== undefined) throw new Error(`transaction ${failed.transactionHash} failed`)
  const address = (index: number): Address => (receipts[index]?.contractAddress ?? '0x').toLowerCase() as Hex
  return { heartbeat: address(0), rainInsurance: address(1), priceAlarm: address(2), paymentGate: address(3) }
}
