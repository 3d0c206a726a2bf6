/** Whether consensus waits for key work: the same light traffic without and with keys being made and used by the validators' own parties. @module */
import type { Hash } from '#shared/types.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { keccak256, parseEventLogs, toHex, zeroHash } from 'viem'
import type { Clients } from './chain.ts'
import { openClients, succeeded } from './chain.ts'
import type { RunningDevnet } from './devnet.ts'
import type { Seen } from './latency.ts'
import { watch } from './latency.ts'
import { treeTimes } from './process-tree.ts'
import { spreadOf } from './statistics.ts'

const [ORDERER, PAYER] = [7, 8]
const PAY_EVERY_MS = 400
const ASK_EVERY_MS = 50
const FEE_WEI = 5n * 10n ** 16n
const ORDER_TIMEOUT_MS = 180_000
const ACTIVE = 2
const SIGNED = 2
/** Numbers of schemes on chain: ECDSA and Taproot. */
const SCHEMES = [0, 1] as const

type Done = { keys: number; signatures: number }

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** One payment after another, so that every slot has something to hold. */
async function pay(clients: Clients, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await clients.wallet.sendTransaction({ to: clients.address, value: 1n })
    await pause(PAY_EVERY_MS)
  }
}

/** How long a validator takes to answer a question that needs no work: what its event loop was busy with. */
async function ask(url: string, answerMs: number[], stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const before = performance.now()
    await callRpc(url, 'fusion_finality')
    answerMs.push(performance.now() - before)
    await pause(ASK_EVERY_MS)
  }
}

async function order(clients: Clients, functionName: string, args: readonly unknown[], event: string, field: string): Promise<Hash> {
  const call = { address: KEY_MANAGER, abi: keyManagerAbi, functionName, args, value: FEE_WEI, gas: 2_000_000n } as never
  const { logs } = await succeeded(clients, await clients.wallet.writeContract(call))
  const found = parseEventLogs({ abi: keyManagerAbi, logs }).find(({ eventName }) => eventName === event)
  const value = (found?.args as Readonly<Record<string, unknown>> | undefined)?.[field]
  if (typeof value !== 'string') throw new Error(`expected the event ${event} with ${field}`)
  return value as Hash
}

async function untilState(clients: Clients, functionName: 'keyOf' | 'signatureOf', id: Hash, state: number): Promise<void> {
  await waitFor(
    async () => {
      const row = await clients.reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName, args: [id] })
      return row.state === state ? true : null
    },
    { what: `${functionName} ${id}`, timeoutMs: ORDER_TIMEOUT_MS, everyMs: 300 },
  )
}

/** Keys of 3 of the 4 parties, one after another, each used twice. */
async function useKeys(clients: Clients, done: Done, stop: AbortSignal): Promise<void> {
  for (let turn = 0; !stop.aborted; turn++) {
    const scheme = SCHEMES[turn % SCHEMES.length] ?? 0
    const key = await order(clients, 'requestKey', [scheme, 2, 3], 'OperationRequested', 'key')
    await untilState(clients, 'keyOf', key, ACTIVE)
    done.keys++
    for (const word of ['first', 'second']) {
      const args = [key, zeroHash, keccak256(toHex(`${turn} ${word}`))]
      await untilState(clients, 'signatureOf', await order(clients, 'requestSignature', args, 'SignatureRequested', 'id'), SIGNED)
      done.signatures++
    }
  }
}

/** One phase of the measurement. With `work`, it lasts until the work that was begun is done. */
async function phase(devnet: RunningDevnet, name: string, seconds: number, withKeys: boolean) {
  const [url = '', other = ''] = devnet.rpcUrls
  const [orderer, payer] = await Promise.all([openClients(url, ORDERER), openClients(url, PAYER)])
  const { slotMs } = (await callRpc(url, 'fusion_meta')) as Readonly<{ slotMs: number }>
  const seen: Seen = new Map()
  const answerMs: number[] = []
  const done: Done = { keys: 0, signatures: 0 }
  const [stop, stopWork] = [new AbortController(), new AbortController()]
  const around = [watch(url, seen, stop.signal), ask(other, answerMs, stop.signal), pay(payer, stop.signal)]
  const startedMs = performance.now()
  const cpuBefore = treeTimes(devnet.ready.supervisorPid)
  const work = withKeys ? useKeys(orderer, done, stopWork.signal) : Promise.resolve()
  await pause(seconds * 1000)
  stopWork.abort()
  await work
  stop.abort()
  await Promise.all(around)
  const elapsed = (performance.now() - startedMs) / 1000
  const cpuAfter = treeTimes(devnet.ready.supervisorPid)
  const cpu = [...cpuAfter].reduce((sum, [pid, { cpuSeconds }]) => sum + cpuSeconds - (cpuBefore.get(pid)?.cpuSeconds ?? 0), 0)
  const blocks = [...seen.values()]
  const times = blocks.map(({ timeMs }) => timeMs)
  const slots = Math.round((Math.max(...times) - Math.min(...times)) / slotMs) + 1
  return {
    counts: {
      phase: name,
      seconds: Math.round(elapsed),
      blocks: blocks.length,
      slotsWithoutBlock: slots - blocks.length,
      ...done,
      cores: Math.round((cpu / elapsed) * 100) / 100,
    },
    rows: [
      spreadOf(
        `${name}: time of a block → shown`,
        blocks.flatMap(({ timeMs, headMs }) => (headMs === null ? [] : [headMs - timeMs])),
      ),
      spreadOf(
        `${name}: time of a block → final`,
        blocks.flatMap(({ timeMs, finalMs }) => (finalMs === null ? [] : [finalMs - timeMs])),
      ),
      spreadOf(`${name}: a validator's answer`, answerMs),
    ],
  }
}

/** Both phases on one network, the quiet one first. */
export async function measureKeyLoad(devnet: RunningDevnet, seconds: number) {
  const phases = [await phase(devnet, 'without keys', seconds, false), await phase(devnet, 'with keys', seconds, true)]
  console.table(phases.flatMap(({ rows }) => rows))
  console.table(phases.map(({ counts }) => counts))
  return phases
}
