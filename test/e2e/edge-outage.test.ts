/** The edge is killed while triggers are due: the validators go on alone, and nothing happens twice when it returns. @module */
import { encodeFunctionData, http, createWalletClient } from 'viem'
import { foundry } from 'viem/chains'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { payee } from '#node/demo/triggers.ts'
import { FusionClient } from '#node/sdk/index.ts'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { Child } from '#node/supervisor/child.ts'
import { signalGroup, startChild } from '#node/supervisor/child.ts'
import type { ReadyPart } from '#node/supervisor/ready.ts'
import { callRpc, getJson, waitFor } from '#node/supervisor/wait.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { logRelayAbi, logRelayCreation } from '#shared/api/abi/log-relay.ts'
import { paymentGateAbi } from '#shared/api/abi/payment-gate.ts'
import { priceAlarmAbi } from '#shared/api/abi/price-alarm.ts'
import { testTokenAbi, testTokenCreation } from '#shared/api/abi/test-token.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { Address, Hash } from '#shared/types.ts'
import type { Clients, FiredEvent } from '../../bench/chain.ts'
import { blockFacts, commonTerms, deployed, firedEvents, openClients, registerAll, succeeded } from '../../bench/chain.ts'
import type { RunningDevnet } from '../../bench/devnet.ts'
import { startDevnet } from '../../bench/devnet.ts'

const OWNER = 7
const SPENDER = devAccount(8).address
const EVERY_SEC = 3
const OUTAGE_MS = 60_000
const FUND_WEI = 100n * 10n ** 18n

let devnet: RunningDevnet
let clients: Clients
let token: Address
let ids: Readonly<Record<'timing' | 'log' | 'view', Hash>>
let registeredAt = 0
let secondEdge: Child | null = null

const part = (name: string): ReadyPart => {
  const found = devnet.ready.processes.find((one) => one.name === name)
  if (found === undefined) throw new Error(`no process ${name}`)
  return found
}
const url = (): string => devnet.rpcUrls[0] ?? ''
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const firesOf = async (kind: keyof typeof ids, from = registeredAt): Promise<readonly FiredEvent[]> =>
  firedEvents(clients, [ids[kind]], from)

/** First block at or above `from` that could hold a firing of this entry: the first with a package of the entry's lane. */
async function firstChance(id: Hash, from: number): Promise<number> {
  for (let number = from; ; number++) {
    const [parent, block] = await Promise.all([blockFacts(url(), number - 1), blockFacts(url(), number)])
    if (block.laneIncluded[laneOf(parent.randomness, { kind: 'entry', id }, block.laneIncluded.length)] === true) return number
  }
}

/** First block whose time has reached this moment, searching back from one that has. */
async function firstBlockAt(timeMs: number, before: number): Promise<number> {
  let number = before
  while ((await blockFacts(url(), number - 1)).timeMs >= timeMs) number--
  return number
}

/** Approves 1 (the view becomes true) or 0; gives the block. */
async function approve(amount: bigint): Promise<number> {
  const hash = await clients.wallet.writeContract({ address: token, abi: testTokenAbi, functionName: 'approve', args: [SPENDER, amount] })
  return Number((await succeeded(clients, hash)).blockNumber)
}
async function mint(): Promise<number> {
  const hash = await clients.wallet.writeContract({ address: token, abi: testTokenAbi, functionName: 'mint', args: [clients.address, 5n] })
  return Number((await succeeded(clients, hash)).blockNumber)
}
const isArmed = async (id: Hash): Promise<boolean> =>
  ((await callRpc(url(), 'fusion_entry', [id, 'latest'])) as Readonly<{ armed: boolean }>).armed

async function register(): Promise<void> {
  const heartbeat = await deployed(clients, heartbeatCreation, heartbeatAbi, [clients.address])
  const seen = await deployed(clients, heartbeatCreation, heartbeatAbi, [clients.address])
  const relay = await deployed(clients, logRelayCreation, logRelayAbi, [clients.address])
  token = await deployed(clients, testTokenCreation, testTokenAbi)
  const beat = (to: Address) => ({ to, abi: 'beat(uint64)', args: [{ ref: 'fire.scheduledAt' as const }], gasLimit: 150_000 })
  const [timing, log, view] = await registerAll(
    clients,
    [
      {
        ...commonTerms(),
        name: 'Every three seconds',
        mode: {
          type: 'timing',
          when: { kind: 'interval', anchor: Date.now() - (Date.now() % 1000), everySec: EVERY_SEC },
          missed: { mode: 'all', max: 100, graceSec: 600 },
        },
        action: beat(heartbeat),
      },
      {
        ...commonTerms(),
        name: 'On every transfer',
        mode: { type: 'event', when: { kind: 'log', addresses: [token], topics: [[transferTopic()]] } },
        action: {
          to: relay,
          abi: 'relay(bytes32,address,bytes)',
          args: [{ ref: 'event.topic1' }, { ref: 'event.address' }, { ref: 'event.data' }],
          gasLimit: 200_000,
        },
      },
      {
        ...commonTerms(),
        name: 'When approved',
        mode: {
          type: 'event',
          when: {
            kind: 'view',
            to: token,
            data: encodeFunctionData({
              abi: testTokenAbi,
              functionName: 'allowance',
              args: [clients.address, SPENDER],
            }).toLowerCase() as Hash,
            gas: 100_000,
            returns: 'bool',
            checkEvery: { blocks: 1 },
            edge: { mode: 'rising' },
          },
        },
        action: beat(seen),
      },
    ],
    FUND_WEI,
  )
  ids = { timing: timing ?? '0x', log: log ?? '0x', view: view ?? '0x' }
  registeredAt = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
}

/** keccak256("Transfer(address,address,uint256)"), the ERC-20 event. */
const transferTopic = (): Hash => '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'

beforeAll(async () => {
  devnet = await startDevnet({ withDemo: true })
  clients = await openClients(url(), OWNER)
  await register()
})
afterAll(async () => {
  await secondEdge?.stop()
  await devnet.stop()
})

describe('without an edge', () => {
  it('time, log and view triggers fire once each, in the first block that can hold them', async () => {
    signalGroup(part('edge').pid, 'SIGKILL')
    await waitFor(async () => ((await getJson(`${devnet.edgeUrl}/healthz`).catch(() => 'dead')) === 'dead' ? true : null), {
      what: 'the end of the edge',
      timeoutMs: 10_000,
    })
    const killedAtMs = Date.now()
    const mints: number[] = []
    const rises: number[] = []
    while (Date.now() - killedAtMs < OUTAGE_MS) {
      rises.push(await approve(1n))
      mints.push(await mint())
      await waitFor(async () => ((await firesOf('view')).length >= rises.length ? true : null), { what: 'view fire', timeoutMs: 30_000 })
      await approve(0n)
      await waitFor(async () => ((await isArmed(ids.view)) ? true : null), { what: 're-armed view', timeoutMs: 30_000 })
    }
    await waitFor(async () => ((await firesOf('log')).length >= mints.length ? true : null), { what: 'log fires', timeoutMs: 30_000 })

    const timing = (await firesOf('timing')).filter(({ scheduledAtMs }) => scheduledAtMs > killedAtMs)
    expect(timing.length).toBeGreaterThanOrEqual(Math.floor(OUTAGE_MS / 1000 / EVERY_SEC) - 2)
    const times = timing.map(({ scheduledAtMs }) => scheduledAtMs)
    expect(times).toEqual(times.map((_, index) => (times[0] ?? 0) + index * EVERY_SEC * 1000))
    for (const fire of timing)
      expect(fire.blockNumber).toBe(await firstChance(ids.timing, await firstBlockAt(fire.scheduledAtMs, fire.blockNumber)))
    for (const [kind, causes] of [
      ['log', mints],
      ['view', rises],
    ] as const) {
      const fires = await firesOf(kind)
      expect(fires).toHaveLength(causes.length)
      for (const [index, { blockNumber, success }] of fires.entries()) {
        expect(success).toBe(true)
        expect(blockNumber).toBe(await firstChance(ids[kind], (causes[index] ?? 0) + 1))
      }
    }
  })

  it('the restarted edge catches up, and nothing has fired or is listed twice', async () => {
    const { command } = part('edge')
    secondEdge = await startChild({ ...command, name: 'edge' })
    await waitFor(async () => getJson(`${devnet.edgeUrl}/healthz`), { what: 'the edge again', timeoutMs: 90_000 })
    const client = new FusionClient({ edgeUrl: devnet.edgeUrl })
    const startedAt = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
    // Some more occurrences with edge and validators racing for them.
    await waitFor(async () => ((await firesOf('timing', startedAt)).length >= 3 ? true : null), { what: 'more fires', timeoutMs: 60_000 })
    for (const kind of ['timing', 'log', 'view'] as const) {
      const chain = await firesOf(kind)
      const listed = await waitFor(
        async () => {
          const { items } = await client.fires(ids[kind], { limit: 200 })
          const keys = new Set(items.map(({ fireKey }) => fireKey))
          return chain.every(({ fireKey }) => keys.has(fireKey)) ? items : null
        },
        { what: `fires of ${kind} at the edge`, timeoutMs: 60_000, everyMs: 500 },
      )
      expect(new Set(listed.map(({ fireKey }) => fireKey)).size).toBe(listed.length)
      expect(new Set(chain.map(({ fireKey }) => fireKey)).size).toBe(chain.length)
    }
    const times = (await firesOf('timing')).map(({ scheduledAtMs }) => scheduledAtMs)
    expect(times).toEqual(times.map((_, index) => (times[0] ?? 0) + index * EVERY_SEC * 1000))
  })
})

describe('with the providers stopped', () => {
  beforeAll(async () => {
    for (const { name, pid } of devnet.ready.processes) if (name.startsWith('provider-')) signalGroup(pid, 'SIGTERM')
    await waitFor(async () => (devnet.output().match(/provider-2\d ended/g)?.length === 4 ? true : null), {
      what: 'the end of four providers',
      timeoutMs: 20_000,
    })
  })

  it('a change of the polled web source calls its contract', async () => {
    const { jsonSourceUrl, demo } = devnet.ready
    const alarm = demo['priceAlarm'] as Address
    const read = async (functionName: 'rings' | 'lastPrice') =>
      clients.reader.readContract({ address: alarm, abi: priceAlarmAbi, functionName })
    const hold = async (price: number): Promise<void> => {
      const answer = await fetch(`${jsonSourceUrl}/control`, { method: 'POST', body: JSON.stringify({ price }) })
      expect(answer.status).toBe(200)
    }
    await hold(1000.25)
    await waitFor(async () => ((await isArmed(demo['priceAlarmTrigger'] as Hash)) ? true : null), {
      what: 'armed alarm',
      timeoutMs: 60_000,
    })
    // Let a report of the low price stand before it rises.
    await pause(4000)
    const before = await read('rings')
    await hold(1777.75)
    await waitFor(async () => ((await read('rings')) > before ? true : null), { what: 'alarm', timeoutMs: 60_000 })
    expect(await read('lastPrice')).toBe(177_775n)
    expect(await read('rings')).toBe(before + 1n)
  })

  it('a payment on the foreign chain calls its contract', async () => {
    const { foreignChain, demo } = devnet.ready
    if (foreignChain === null) return
    const gate = demo['paymentGate'] as Address
    const payer = privateKeyToAccount(devAccount(9).privateKey)
    const wallet = createWalletClient({ account: payer, chain: foundry, transport: http(foreignChain.url) })
    const paid = (address: Address) =>
      clients.reader.readContract({ address: gate, abi: paymentGateAbi, functionName: 'paidWei', args: [address] })
    expect(await paid(payer.address)).toBe(0n)
    const txid = await wallet.sendTransaction({ to: payee(), value: 2n * 10n ** 17n })
    await waitFor(async () => ((await paid(payer.address)) > 0n ? true : null), { what: 'payment', timeoutMs: 90_000, everyMs: 500 })
    expect(await paid(payer.address)).toBe(2n * 10n ** 17n)
    expect(await clients.reader.readContract({ address: gate, abi: paymentGateAbi, functionName: 'isSeen', args: [txid] })).toBe(true)
  })
})
