/** ethers 6 against a FUSION node: deploy, send, call, logs, receipts, watching blocks, and whole blocks with the network's own transactions. @module */
import { ethers } from 'ethers'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { testTokenAbi, testTokenCreation } from '#shared/api/abi/test-token.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import { readRpcUrl, run, same, skipped, step } from './script.ts'

const rpcUrl = readRpcUrl('ethers.ts', 'Uses a FUSION node through ethers 6. Sends from development account 4.')
const PHRASE = 'test test test test test test test test test test test junk'
const RECIPIENT = '0x00000000000000000000000000000000000C0Ffe'.toLowerCase()
/** Blocks searched backwards for native transactions. */
const SEARCH_BLOCKS = 5000
const WAIT_MS = 60_000

const CHAIN_ID = 81_920n
// A network that is given is not asked for again and again when nobody answers.
const provider = new ethers.JsonRpcProvider(rpcUrl, CHAIN_ID, { pollingInterval: 250, staticNetwork: true })
const wallet = new ethers.NonceManager(ethers.HDNodeWallet.fromPhrase(PHRASE, undefined, "m/44'/60'/0'/0/4").connect(provider))

async function send(
  contract: ethers.BaseContract,
  method: string,
  ...args: readonly unknown[]
): Promise<ethers.ContractTransactionReceipt> {
  const sent = (await contract.getFunction(method)(...args)) as ethers.ContractTransactionResponse
  const receipt = await sent.wait(1, WAIT_MS)
  same(`status of ${method}`, receipt?.status, 1)
  if (receipt === null) throw new Error(`no receipt of ${method}`)
  return receipt
}
async function deploy(abi: readonly unknown[], bytecode: string, ...args: readonly unknown[]): Promise<ethers.BaseContract> {
  const contract = await new ethers.ContractFactory(abi as ethers.InterfaceAbi, bytecode, wallet).deploy(...args)
  await contract.waitForDeployment()
  return contract
}

async function transfer(): Promise<void> {
  same('chain id', BigInt((await provider.send('eth_chainId', [])) as string), CHAIN_ID)
  const before = await provider.getBalance(RECIPIENT)
  const receipt = await (await wallet.sendTransaction({ to: RECIPIENT, value: ethers.parseEther('0.5') })).wait(1, WAIT_MS)
  same('status', receipt?.status, 1)
  same('balance', (await provider.getBalance(RECIPIENT)) - before, ethers.parseEther('0.5'))
  step('transfer', `0.5 FSN in block ${receipt?.blockNumber}`)
}

async function token(): Promise<void> {
  const contract = await deploy(testTokenAbi, testTokenCreation)
  await send(contract, 'mint', await wallet.getAddress(), 1000n)
  const receipt = await send(contract, 'transfer', RECIPIENT, 40n)
  same('Transfer logs in the receipt', receipt.logs.length, 1)
  same('token balance', await contract.getFunction('balanceOf')(RECIPIENT), 40n)
  same('Transfer events', (await contract.queryFilter('Transfer', 0)).length, 2)
  const refused = await contract
    .getFunction('transfer')
    .staticCall(RECIPIENT, 5000n)
    .then(
      () => null,
      (error: { revert?: { name: string } }) => error.revert?.name,
    )
  same('decoded revert', refused, 'InsufficientBalance')
  step('TestToken', `${await contract.getAddress()} deployed, minted, transferred, logs read`)
}

async function triggered(): Promise<void> {
  const owner = await wallet.getAddress()
  const heartbeat = await deploy(heartbeatAbi, heartbeatCreation, owner)
  same('beats', await heartbeat.getFunction('beats')(), 0n)
  const alarm = await deploy(priceAlarmAbi, priceAlarmCreation, owner)
  const list = new ethers.Contract(CALLING_LIST, callingListAbi, provider)
  same('trigger caller', await alarm.getFunction('triggerCaller')(), await list.getFunction('stableCaller')(owner))
  step('Heartbeat, PriceAlarm', `deployed; only ${String(await alarm.getFunction('triggerCaller')())} may call them`)
}

async function watchBlocks(): Promise<void> {
  const seen = new Promise<number>((resolve) => void provider.once('block', resolve))
  await (await wallet.sendTransaction({ to: RECIPIENT, value: 1n })).wait(1, WAIT_MS)
  step('block event', `saw block ${await seen}`)
}

/** Reads the newest block that holds a transaction of this type; it left a log of `address`. */
async function readNative(type: number, address: string, topic: string | null): Promise<void> {
  const name = `block with type 0x${type.toString(16)}`
  const fromBlock = Math.max(0, (await provider.getBlockNumber()) - SEARCH_BLOCKS)
  const log = (await provider.getLogs({ address, topics: [topic], fromBlock })).at(-1)
  if (log === undefined) return skipped(name, 'this chain has none yet')
  const block = await provider.getBlock(log.blockNumber, true)
  const found = block?.prefetchedTransactions.find(({ hash }) => hash === log.transactionHash)
  same('type', found?.type, type)
  same('transaction by hash', (await provider.getTransaction(log.transactionHash))?.blockNumber, log.blockNumber)
  same('receipt by hash', (await provider.getTransactionReceipt(log.transactionHash))?.status, 1)
  step(name, `${log.blockNumber}, ${block?.prefetchedTransactions.length} transactions`)
}

await run(async () => {
  await transfer()
  await token()
  await triggered()
  await watchBlocks()
  await readNative(0x46, CALLING_LIST, new ethers.Interface(callingListAbi).getEvent('TriggerFired')?.topicHash ?? null)
  await readNative(0x47, FEED_REGISTRY, ethers.id('RoundAttested(bytes32,uint16,uint64,uint256,uint256)'))
})
