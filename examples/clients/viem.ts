/**
 * viem against a FUSION node: deploy, send, call, logs, receipts, watching blocks; a trigger registered by an ordinary contract call, and
 * the block in which the network fired it.
 * @module
 */
import { createPublicClient, createWalletClient, defineChain, http, parseEther, parseEventLogs } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { testTokenAbi, testTokenCreation } from '#shared/api/abi/test-token.ts'
import { triggerFromJson } from '#shared/api/trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { readRpcUrl, run, same, skipped, step } from './script.ts'

const rpcUrl = readRpcUrl('viem.ts', 'Uses a FUSION node through viem. Sends from development account 3.')
const PHRASE = 'test test test test test test test test test test test junk'
const RECIPIENT = '0x00000000000000000000000000000000000c0ffe'
const EVERY_SEC = 3
const FIRE_WAIT_MS = 60_000

const chain = defineChain({
  id: 81_920,
  name: 'FUSION development network',
  nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
  rpcUrls: { default: { http: [rpcUrl] } },
})
const account = mnemonicToAccount(PHRASE, { addressIndex: 3 })
const reader = createPublicClient({ chain, transport: http(), pollingInterval: 250 })
const wallet = createWalletClient({ account, chain, transport: http() })

async function mined(hash: Hash) {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: FIRE_WAIT_MS })
  same(`status of ${hash}`, receipt.status, 'success')
  return receipt
}
async function deploy(abi: readonly unknown[], bytecode: Hex, args: readonly unknown[]): Promise<Address> {
  const { contractAddress } = await mined(await wallet.deployContract({ abi, bytecode, args } as never))
  if (contractAddress === null || contractAddress === undefined) throw new Error('no contract address in the receipt')
  return contractAddress
}

async function transfer(): Promise<void> {
  same('chain id', await reader.getChainId(), chain.id)
  const before = await reader.getBalance({ address: RECIPIENT })
  const receipt = await mined(await wallet.sendTransaction({ to: RECIPIENT, value: parseEther('0.25') }))
  same('balance', await reader.getBalance({ address: RECIPIENT }), before + parseEther('0.25'))
  step('transfer', `0.25 FSN in block ${receipt.blockNumber}`)
}

async function token(): Promise<void> {
  const address = await deploy(testTokenAbi, testTokenCreation, [])
  const { request } = await reader.simulateContract({
    account,
    address,
    abi: testTokenAbi,
    functionName: 'mint',
    args: [account.address, 1000n],
  })
  await mined(await wallet.writeContract(request))
  const receipt = await mined(await wallet.writeContract({ address, abi: testTokenAbi, functionName: 'transfer', args: [RECIPIENT, 40n] }))
  const [event] = parseEventLogs({ abi: testTokenAbi, eventName: 'Transfer', logs: receipt.logs })
  same('transferred', event?.args.value, 40n)
  same('token balance', await reader.readContract({ address, abi: testTokenAbi, functionName: 'balanceOf', args: [RECIPIENT] }), 40n)
  const logs = await reader.getContractEvents({ address, abi: testTokenAbi, eventName: 'Transfer', fromBlock: 0n })
  same('Transfer events', logs.length, 2)
  step('TestToken', `${address} deployed, minted, transferred, logs read`)
}

async function alarm(): Promise<void> {
  const address = await deploy(priceAlarmAbi, priceAlarmCreation, [account.address])
  same('rings', await reader.readContract({ address, abi: priceAlarmAbi, functionName: 'rings' }), 0n)
  const refusal = await reader
    .simulateContract({ account, address, abi: priceAlarmAbi, functionName: 'ring', args: [1n, 1n, `0x${'00'.repeat(32)}`] })
    .then(
      () => 'accepted',
      (error: Error) => error.message,
    )
  if (!refusal.includes('NotTrigger')) throw new Error(`a call by hand must be refused: ${refusal}`)
  step('PriceAlarm', 'refuses calls that are not of its trigger')
}

async function watchBlocks(): Promise<void> {
  const seen = new Promise<bigint>((resolve, reject) => {
    const unwatch = reader.watchBlocks({
      onBlock: ({ number }) => {
        unwatch()
        resolve(number)
      },
      onError: reject,
    })
  })
  await mined(await wallet.sendTransaction({ to: RECIPIENT, value: 1n }))
  step('watchBlocks', `saw block ${await seen}`)
}

/** Registers a heartbeat and waits for its first beat. */
async function trigger(): Promise<bigint> {
  const to = (await deploy(heartbeatAbi, heartbeatCreation, [account.address])).toLowerCase() as Address
  const now = Date.now()
  const parsed = triggerFromJson(
    {
      v: 1,
      name: 'Heartbeat of the viem example',
      mode: {
        type: 'timing',
        when: { kind: 'interval', anchor: now - (now % 1000), everySec: EVERY_SEC },
        missed: { mode: 'latest', graceSec: 60 },
      },
      action: { to, abi: 'beat(uint64)', args: [{ ref: 'fire.scheduledAt' }], gasLimit: 150_000 },
      limits: { expiresAt: now + 3_600_000, maxFires: 10, cooldownSec: 0, maxFeePerGas: '100000000000', freshForSec: 0 },
      onRevert: { retries: 0, backoffSec: 1, thenPause: false },
      funding: { reserve: '0', lowWater: '0', tip: '0', attestationFee: '0' },
    },
    () => null,
  )
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  const args = [bytesToHex(encodeDescription(parsed.description))] as const
  const hash = await wallet.writeContract({
    address: CALLING_LIST,
    abi: callingListAbi,
    functionName: 'register',
    args,
    value: parseEther('10'),
  })
  const [registered] = parseEventLogs({ abi: callingListAbi, eventName: 'TriggerRegistered', logs: (await mined(hash)).logs })
  step('trigger registered', registered?.args.id)
  const deadline = Date.now() + FIRE_WAIT_MS
  while (Date.now() < deadline) {
    const [beat] = await reader.getContractEvents({ address: to, abi: heartbeatAbi, eventName: 'Beat', fromBlock: 0n, strict: true })
    if (beat !== undefined) {
      const receipt = await reader.getTransactionReceipt({ hash: beat.transactionHash })
      same('receipt type', String(receipt.type), '0x46')
      step('trigger fired', `transaction ${beat.transactionHash}`)
      return beat.blockNumber
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  throw new Error(`no beat within ${FIRE_WAIT_MS / 1000} s`)
}

async function readNative(typeHex: string, blockNumber: bigint): Promise<void> {
  const block = await reader.getBlock({ blockNumber, includeTransactions: true })
  const found = block.transactions.find((one) => one.typeHex === typeHex)
  if (found === undefined) throw new Error(`block ${blockNumber} has no transaction of type ${typeHex}`)
  same('transaction by hash', (await reader.getTransaction({ hash: found.hash })).blockNumber, blockNumber)
  same('receipt by hash', (await reader.getTransactionReceipt({ hash: found.hash })).status, 'success')
  step(`block with type ${typeHex}`, `${blockNumber}, ${block.transactions.length} transactions`)
}

await run(async () => {
  await transfer()
  await token()
  await alarm()
  await watchBlocks()
  await readNative('0x46', await trigger())
  const reports = await reader.getLogs({ address: FEED_REGISTRY, fromBlock: 1n })
  const report = reports.at(-1)
  if (report === undefined) skipped('block with type 0x47', 'no data provider has reported on this chain')
  else await readNative('0x47', report.blockNumber)
})
