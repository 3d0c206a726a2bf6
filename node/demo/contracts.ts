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

/** Account that the insurance pays. */
const INSURED_INDEX = 5
const PAYOUT_WEI = parseEther('1')
const COVER_WEI = parseEther('5000')
/** Prepaid by each owner for the deposit and the firings of its trigger. */
const BALANCE_WEI = parseEther('500')

export const DEMO_CONTRACTS = ['heartbeat', 'rainInsurance', 'priceAlarm', 'paymentGate'] as const
export type DemoContract = (typeof DEMO_CONTRACTS)[number]

/** Each contract and its trigger has an owner of its own, so that four people's steps need not wait for each other. */
const OWNER_INDEXES: Readonly<Record<DemoContract, number>> = { heartbeat: 1, rainInsurance: 2, priceAlarm: 3, paymentGate: 4 }

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

/** Owner of a contract and its trigger, as viem account. */
export const demoOwner = (contract: DemoContract) => privateKeyToAccount(devAccount(OWNER_INDEXES[contract]).privateKey)

/** Wallet of an owner and reader on one validator. */
function chainClients(rpcUrl: string, chainId: number, contract: DemoContract) {
  const chain = defineChain({
    id: chainId,
    name: 'FUSION development network',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  })
  const transport = http(rpcUrl, { retryCount: 2 })
  return {
    wallet: createWalletClient({ account: demoOwner(contract), chain, transport }),
    reader: createPublicClient({ chain, transport, pollingInterval: 300 }),
  }
}

type Deployment = Readonly<{ abi: Abi; bytecode: Hex; args: readonly unknown[]; value: bigint }>

function deployment(contract: DemoContract): Deployment {
  const owner = demoOwner(contract).address
  switch (contract) {
    case 'heartbeat':
      return { abi: heartbeatAbi, bytecode: heartbeatCreation, args: [owner], value: 0n }
    case 'rainInsurance': {
      const insured = devAccount(INSURED_INDEX).address
      return { abi: rainInsuranceAbi, bytecode: rainInsuranceCreation, args: [owner, insured, PAYOUT_WEI], value: COVER_WEI }
    }
    case 'priceAlarm':
      return { abi: priceAlarmAbi, bytecode: priceAlarmCreation, args: [owner], value: 0n }
    case 'paymentGate':
      return { abi: paymentGateAbi, bytecode: paymentGateCreation, args: [owner], value: 0n }
  }
}

/** Deploys one contract and prepays its owner's balance in the calling list. */
async function deployOne(rpcUrl: string, chainId: number, contract: DemoContract): Promise<Address> {
  const { wallet, reader } = chainClients(rpcUrl, chainId, contract)
  const nonce = await reader.getTransactionCount({ address: wallet.account.address, blockTag: 'pending' })
  const sent = [
    await wallet.deployContract({ ...deployment(contract), nonce }),
    await wallet.writeContract({
      abi: callingListAbi,
      address: CALLING_LIST,
      functionName: 'deposit',
      value: BALANCE_WEI,
      nonce: nonce + 1,
    }),
  ]
  const receipts = await Promise.all(sent.map((hash) => reader.waitForTransactionReceipt({ hash, timeout: 60_000 })))
  const failed = receipts.find(({ status }) => status !== 'success')
  if (failed !== undefined) throw new Error(`transaction ${failed.transactionHash} failed`)
  return (receipts[0]?.contractAddress ?? '0x').toLowerCase() as Address
}

/** Deploys the four contracts, each by its owner. */
export async function deployDemo(rpcUrl: string, chainId: number): Promise<DemoState['contracts']> {
  const [heartbeat, rainInsurance, priceAlarm, paymentGate] = await Promise.all([
    deployOne(rpcUrl, chainId, 'heartbeat'),
    deployOne(rpcUrl, chainId, 'rainInsurance'),
    deployOne(rpcUrl, chainId, 'priceAlarm'),
    deployOne(rpcUrl, chainId, 'paymentGate'),
  ])
  return { heartbeat, rainInsurance, priceAlarm, paymentGate }
}
