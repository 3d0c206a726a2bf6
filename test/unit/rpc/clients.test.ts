/** What viem, ethers and cast do against the node: deploy, send, call, watch, read errors, and read blocks with native transactions. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { Hash } from '#shared/types.ts'
import { FEE_COLLECTOR, FEED_REGISTRY } from '#shared/system.ts'
import { compileCounter } from '#test/unit/rpc/counter.ts'
import type { DevChain } from '#test/unit/rpc/dev-chain.ts'
import { startDevChain, TRIGGER_CALLER } from '#test/unit/rpc/dev-chain.ts'
import { addressOf, dev as account, GWEI, signed } from '#test/unit/pool/fake-chain.ts'
import { attestation, trigger } from '#test/unit/pool/native.ts'
import { ethers } from 'ethers'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  keccak256,
  parseEther,
  webSocket,
} from 'viem'
import type { Block, Log } from 'viem'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const counter = compileCounter()
let node: DevChain
let stopSealing: () => void

beforeAll(async () => {
  node = await startDevChain()
  stopSealing = node.autoSeal()
})
afterAll(async () => {
  stopSealing()
  await node.close()
})

const chainOf = (url: string) =>
  defineChain({
    id: 81920,
    name: 'test',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
const viemClient = () => createPublicClient({ chain: chainOf(node.url), transport: http(node.url), pollingInterval: 50 })
const viemWallet = (index: number) => createWalletClient({ account: account(index), chain: chainOf(node.url), transport: http(node.url) })
const run = promisify(execFile)
const castOutput = (args: readonly string[]) =>
  run(path.resolve('node_modules/.bin/cast'), [...args.slice(0, 1), '--rpc-url', node.url, ...args.slice(1)], {
    env: { ...process.env, NO_COLOR: '1' },
  })
const cast = async (...args: readonly string[]): Promise<string> => (await castOutput(args)).stdout.trim()

async function deployed(index: number): Promise<`0x${string}`> {
  const hash = await viemWallet(index).deployContract({ abi: counter.abi, bytecode: counter.bytecode })
  const { contractAddress } = await viemClient().waitForTransactionReceipt({ hash })
  if (contractAddress === null || contractAddress === undefined) throw new Error('not deployed')
  return contractAddress
}

describe('viem', () => {
  it('sends a transfer with all fields filled by the node, and reads receipt and balance', async () => {
    const client = viemClient()
    const before = await client.getBalance({ address: `0x${'e1'.repeat(20)}` })
    const hash = await viemWallet(0).sendTransaction({ to: `0x${'e1'.repeat(20)}`, value: parseEther('1.5') })
    const receipt = await client.waitForTransactionReceipt({ hash })
    expect(receipt).toMatchObject({
      status: 'success',
      type: 'eip1559',
      gasUsed: 21_000n,
      from: addressOf(0),
      contractAddress: null,
      logs: [],
    })
    expect((await client.getBalance({ address: `0x${'e1'.repeat(20)}` })) - before).toBe(parseEther('1.5'))
    const transaction = await client.getTransaction({ hash })
    expect(transaction).toMatchObject({ hash, from: addressOf(0), nonce: 0, chainId: 81920, type: 'eip1559', blockHash: receipt.blockHash })
    expect(transaction.gasPrice).toBe(receipt.effectiveGasPrice)
  })

  it('deploys a contract, calls it, and filters its logs', async () => {
    const client = viemClient()
    const address = await deployed(1)
    const hash = await viemWallet(1).writeContract({ address, abi: counter.abi, functionName: 'bump', args: [42n] })
    const receipt = await client.waitForTransactionReceipt({ hash })
    expect(await client.readContract({ address, abi: counter.abi, functionName: 'value' })).toBe(42n)
    const logs = await client.getContractEvents({ address, abi: counter.abi, eventName: 'Bumped', fromBlock: 0n })
    expect(logs).toHaveLength(1)
    expect(logs[0]).toMatchObject({
      transactionHash: hash,
      blockHash: receipt.blockHash,
      logIndex: 0,
      removed: false,
      args: { value: 42n },
    })
    expect(await client.getLogs({ address, fromBlock: 0n, toBlock: receipt.blockNumber - 1n })).toEqual([])
    expect(await client.getLogs({ blockHash: receipt.blockHash, address })).toHaveLength(1)
    expect(await client.getCode({ address })).toMatch(/^0x60/)
  })

  it('decodes a custom error, a reason and a panic', async () => {
    const client = viemClient()
    const address = await deployed(2)
    const failure = async (by: bigint) => {
      const error: unknown = await client
        .simulateContract({ address, abi: counter.abi, functionName: 'bump', args: [by] })
        .catch((cause: unknown) => cause)
      return error instanceof BaseError ? error.walk((cause) => cause instanceof ContractFunctionRevertedError) : null
    }
    expect(await failure(101n)).toMatchObject({ data: { errorName: 'TooBig', args: [101n] } })
    expect(await failure(13n)).toMatchObject({ reason: 'unlucky' })
    expect(await failure(7n)).toMatchObject({ data: { errorName: 'Panic', args: [1n] } })
    await expect(client.estimateContractGas({ address, abi: counter.abi, functionName: 'bump', args: [13n] })).rejects.toThrow(/unlucky/)
  })

  it('sees the block context that consensus fixes', async () => {
    const client = viemClient()
    const address = await deployed(3)
    const head = await client.getBlock()
    const parent = await client.getBlock({ blockHash: head.parentHash })
    expect(await client.readContract({ address, abi: counter.abi, functionName: 'context', blockNumber: head.number })).toEqual([
      head.number,
      head.timestamp,
      BigInt(parent.mixHash),
      FEE_COLLECTOR,
      81920n,
    ])
  })

  it('verifies a storage proof of the head, and of an older block', async () => {
    const client = viemClient()
    const address = await deployed(1)
    const { blockNumber } = await client.waitForTransactionReceipt({
      hash: await viemWallet(1).writeContract({ address, abi: counter.abi, functionName: 'bump', args: [5n] }),
    })
    const key: Hash = `0x${'00'.repeat(32)}`
    const [now, before] = await Promise.all(
      [blockNumber, blockNumber - 1n].map((at) => client.getProof({ address, storageKeys: [key], blockNumber: at })),
    )
    expect([now?.storageProof[0]?.value, before?.storageProof[0]?.value]).toEqual([5n, 0n])
    const { stateRoot } = await client.getBlock({ blockNumber })
    expect(keccak256(now?.accountProof[0] ?? '0x')).toBe(stateRoot)
    expect(keccak256(now?.storageProof[0]?.proof[0] ?? '0x')).toBe(now?.storageHash)
  })

  it('watches blocks and events over HTTP filters and over WebSocket', async () => {
    const address = await deployed(2)
    const client = viemClient()
    const socket = createPublicClient({ chain: chainOf(node.url), transport: webSocket(node.url.replace('http', 'ws')) })
    const seen: { blocks: Block[]; polled: Log[]; pushed: Log[]; pending: string[] } = { blocks: [], polled: [], pushed: [], pending: [] }
    const stops = [
      client.watchContractEvent({ address, abi: counter.abi, eventName: 'Bumped', onLogs: (logs) => seen.polled.push(...logs) }),
      socket.watchContractEvent({ address, abi: counter.abi, eventName: 'Bumped', onLogs: (logs) => seen.pushed.push(...logs) }),
      socket.watchBlocks({ onBlock: (block) => seen.blocks.push(block) }),
      socket.watchPendingTransactions({ onTransactions: (hashes) => seen.pending.push(...hashes) }),
    ]
    await new Promise((resolve) => setTimeout(resolve, 200))
    const hash = await viemWallet(2).writeContract({ address, abi: counter.abi, functionName: 'bump', args: [1n] })
    await client.waitForTransactionReceipt({ hash })
    await expect.poll(() => [seen.polled.length, seen.pushed.length, seen.pending.includes(hash)]).toEqual([1, 1, true])
    expect(seen.blocks.length).toBeGreaterThan(0)
    expect(seen.pushed[0]?.transactionHash).toBe(hash)
    for (const stop of stops) stop()
  })

  it('shows pending nonce, transaction and block before inclusion', async () => {
    stopSealing()
    const client = viemClient()
    const nonce = await client.getTransactionCount({ address: addressOf(4) })
    const raw = await signed(4, { nonce })
    const gapped = await signed(4, { nonce: nonce + 2 })
    const hash = await client.sendRawTransaction({ serializedTransaction: bytesToHex(raw) })
    await client.sendRawTransaction({ serializedTransaction: bytesToHex(gapped) })
    expect(await client.getTransactionCount({ address: addressOf(4), blockTag: 'pending' })).toBe(nonce + 1)
    expect(await client.getTransaction({ hash })).toMatchObject({ blockHash: null, blockNumber: null, nonce })
    const pending = await client.getBlock({ blockTag: 'pending' })
    expect(pending).toMatchObject({ hash: null, transactions: [hash] })
    const status = await client.request<{ Method: 'txpool_status'; Parameters: []; ReturnType: unknown }>({
      method: 'txpool_status',
      params: [],
    })
    expect(status).toEqual({ pending: '0x1', queued: '0x1' })
    stopSealing = node.autoSeal()
    await client.waitForTransactionReceipt({ hash })
  })

  it('estimates fees', async () => {
    const client = viemClient()
    const { maxFeePerGas, maxPriorityFeePerGas } = await client.estimateFeesPerGas()
    expect(maxFeePerGas).toBeGreaterThan(maxPriorityFeePerGas)
    const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] })
    expect(history.baseFeePerGas).toHaveLength(5)
    expect(history.reward).toHaveLength(4)
    const { baseFeePerGas } = await client.getBlock({ blockNumber: history.oldestBlock })
    expect(history.baseFeePerGas[0]).toBe(baseFeePerGas)
  })

  it('overrides state in a call', async () => {
    const client = viemClient()
    const address = await deployed(1)
    const value: Hash = `0x${'00'.repeat(31)}2a`
    const slot: Hash = `0x${'00'.repeat(32)}`
    const stateOverride = [{ address, stateDiff: [{ slot, value }] }]
    expect(await client.readContract({ address, abi: counter.abi, functionName: 'value', stateOverride })).toBe(42n)
  })

  it('sends a type 4 transaction', async () => {
    const client = viemClient()
    const address = await deployed(1)
    const wallet = viemWallet(5)
    const authorization = await wallet.signAuthorization({ contractAddress: address, executor: 'self' })
    const hash = await wallet.sendTransaction({ to: addressOf(9), authorizationList: [authorization] })
    const receipt = await client.waitForTransactionReceipt({ hash })
    expect(receipt).toMatchObject({ status: 'success', type: 'eip7702' })
    expect(await client.getCode({ address: addressOf(5) })).toBe(`0xef0100${address.slice(2).toLowerCase()}`)
  })
})

describe('ethers', () => {
  const provider = () => new ethers.JsonRpcProvider(node.url, undefined, { pollingInterval: 50 })

  it('deploys, sends, calls, queries events and reads whole blocks', async () => {
    const rpc = provider()
    const wallet = new ethers.NonceManager(
      ethers.HDNodeWallet.fromPhrase('test test test test test test test test test test test junk', undefined, "m/44'/60'/0'/0/6").connect(
        rpc,
      ),
    )
    const factory = new ethers.ContractFactory(counter.abi as ethers.InterfaceAbi, counter.bytecode, wallet)
    const contract = await factory.deploy()
    await contract.waitForDeployment()
    const sent = (await contract.getFunction('bump')(9n)) as ethers.ContractTransactionResponse
    const receipt = await sent.wait()
    expect(receipt?.status).toBe(1)
    expect(await contract.getFunction('value')()).toBe(9n)
    expect(await contract.queryFilter('Bumped', 0)).toHaveLength(1)
    const block = await rpc.getBlock(receipt?.blockNumber ?? 0, true)
    expect(block?.prefetchedTransactions.map(({ hash }) => hash)).toEqual([sent.hash])
    expect(block?.hash).toBe(receipt?.blockHash)
    await expect(contract.getFunction('bump').staticCall(101n)).rejects.toMatchObject({ revert: { name: 'TooBig', args: [101n] } })
    await expect(contract.getFunction('bump').staticCall(13n)).rejects.toMatchObject({ reason: 'unlucky' })
    const fees = await rpc.getFeeData()
    expect(fees.maxFeePerGas).toBeGreaterThan(0n)
    rpc.destroy()
  }, 20_000)

  it('maps the pool’s refusals to its own codes', async () => {
    const rpc = provider()
    const poor = ethers.Wallet.createRandom().connect(rpc)
    const request = {
      to: addressOf(0),
      value: 1n,
      gasLimit: 21_000n,
      maxFeePerGas: GWEI,
      maxPriorityFeePerGas: 1n,
      nonce: 0,
      chainId: 81920,
      type: 2,
    }
    await expect(rpc.broadcastTransaction(await poor.signTransaction(request))).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS' })
    const old = bytesToHex(await signed(0, { nonce: 0 }))
    await expect(rpc.broadcastTransaction(old)).rejects.toMatchObject({ code: 'NONCE_EXPIRED' })
    rpc.destroy()
  })
})

describe('cast', () => {
  const key = (index: number): string => `0x${Buffer.from(account(index).getHdKey().privateKey ?? []).toString('hex')}`

  it('reads chain, block, balance and nonce', async () => {
    expect(await cast('chain-id')).toBe('81920')
    expect(await cast('balance', addressOf(9))).toBe((await viemClient().getBalance({ address: addressOf(9) })).toString())
    expect(await cast('nonce', addressOf(9))).toBe('0')
    expect(await cast('block', 'latest', '--field', 'miner')).toBe(FEE_COLLECTOR)
    expect(await cast('client')).toBe('fusion/test')
    expect(await cast('base-fee')).toMatch(/^\d+$/)
    expect(await cast('rpc', 'fusion_finality')).toContain('finalized')
  })

  it('deploys, sends, calls and prints the receipt', async () => {
    const sent = JSON.parse(await cast('send', '--json', '--private-key', key(7), '--create', counter.bytecode)) as {
      contractAddress: string
      status: string
    }
    expect(sent.status).toBe('0x1')
    const bumped = JSON.parse(await cast('send', '--json', '--private-key', key(7), sent.contractAddress, 'bump(uint256)', '11')) as {
      transactionHash: string
      logs: unknown[]
    }
    expect(bumped.logs).toHaveLength(1)
    expect(await cast('call', sent.contractAddress, 'value()(uint256)')).toBe('11')
    expect(await cast('receipt', bumped.transactionHash, 'status')).toMatch(/^1|true/)
    expect(await cast('estimate', sent.contractAddress, 'bump(uint256)', '1')).toMatch(/^\d+$/)
    // The npm package's launcher gives exit code 0 whatever cast said.
    expect((await castOutput(['call', sent.contractAddress, 'bump(uint256)', '13'])).stderr).toContain('execution reverted: unlucky')
  }, 30_000)
})

describe('a block that holds both native types beside user transactions', () => {
  let hashes: readonly Hash[]
  let number: number

  beforeAll(async () => {
    stopSealing()
    await node.seal()
    const nonce = Number(node.pool.nextNonce(addressOf(8)))
    const raws = [await trigger(0), await signed(8, { nonce }), await attestation(7, 3)]
    for (const raw of raws) await node.pool.add(raw, 'local')
    const block = await node.seal()
    number = block.header.number
    hashes = raws.map((raw) => keccak256(bytesToHex(raw)))
  })

  it('lists triggers first and attestations last', () => {
    expect(node.chain.block(node.chain.head().hash)?.txs.map(([type]) => type)).toEqual([0x46, 2, 0x47])
  })

  it('is read by viem', async () => {
    const client = viemClient()
    const block = await client.getBlock({ blockNumber: BigInt(number), includeTransactions: true })
    expect(block.transactions.map(({ hash }) => hash)).toEqual(hashes)
    expect(block.transactions.map(({ typeHex, from, nonce }) => [typeHex, from, nonce])).toMatchObject([
      ['0x46', TRIGGER_CALLER, 0],
      ['0x2', addressOf(8), expect.any(Number) as unknown],
      ['0x47', expect.any(String) as unknown, 0],
    ])
    for (const hash of hashes) {
      expect((await client.getTransaction({ hash })).hash).toBe(hash)
      expect((await client.waitForTransactionReceipt({ hash })).status).toBe('success')
    }
    const logs = await client.getLogs({ fromBlock: BigInt(number), toBlock: BigInt(number) })
    expect(logs.map(({ logIndex, transactionIndex, address }) => [logIndex, transactionIndex, address])).toEqual([
      [0, 0, `0x${'46'.repeat(20)}`],
      [1, 2, FEED_REGISTRY],
    ])
  })

  it('is read by ethers', async () => {
    const rpc = new ethers.JsonRpcProvider(node.url)
    const block = await rpc.getBlock(number, true)
    expect(block?.prefetchedTransactions.map(({ hash, type }) => [hash, type])).toEqual([
      [hashes[0], 0x46],
      [hashes[1], 2],
      [hashes[2], 0x47],
    ])
    for (const hash of hashes) {
      expect((await rpc.getTransaction(hash))?.hash).toBe(hash)
      expect((await rpc.getTransactionReceipt(hash))?.status).toBe(1)
      expect((await rpc.waitForTransaction(hash))?.hash).toBe(hash)
    }
    rpc.destroy()
  })

  it('is read by cast', async () => {
    const block = JSON.parse(await cast('block', String(number), '--full', '--json')) as { transactions: { hash: string; type: string }[] }
    expect(block.transactions.map(({ hash, type }) => [hash, type])).toEqual([
      [hashes[0], '0x46'],
      [hashes[1], '0x2'],
      [hashes[2], '0x47'],
    ])
    for (const hash of hashes) {
      expect(await cast('tx', hash, '--json')).toContain(hash)
      expect(await cast('receipt', hash, '--json')).toContain(hash)
    }
  }, 30_000)

  it('was made without a fault of the node', () => {
    expect(node.faults).toEqual([])
  })

  it('gives back the raw bytes, from which the hash follows', async () => {
    const client = viemClient()
    for (const hash of hashes) {
      const raw = await client.request<{ Method: 'debug_getRawTransaction'; Parameters: [Hash]; ReturnType: `0x${string}` }>({
        method: 'debug_getRawTransaction',
        params: [hash],
      })
      expect(keccak256(hexToBytes(raw))).toBe(hash)
    }
  })
})
