/** `npm start` with the demonstration, as a newcomer runs it: from an empty folder to a feed-triggered call that is final. @module */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FusionClient } from '#node/sdk/index.ts'
import { PROJECT_DIR } from '#node/supervisor/parts.ts'
import { portIsFree } from '#node/supervisor/ports.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import type { Hash } from '#shared/types.ts'
import { blockOf, freePorts } from './cluster.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-start-'))
const readyPath = join(folder, 'ready.json')
let offset: number
let child: ChildProcess
let output = ''

type Ended = Readonly<{ code: number | null; output: string }>

function start(args: readonly string[], dataDir = 'data'): ChildProcess {
  output = ''
  const started = spawn(process.execPath, [join(PROJECT_DIR, 'node/supervisor.ts'), ...args], {
    cwd: folder,
    env: { ...process.env, FUSION_DATA_DIR: join(folder, dataDir), FUSION_PORT_OFFSET: String(offset) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  return started
}

const ended = (process_: ChildProcess): Promise<Ended> =>
  new Promise((resolve) => process_.once('close', (code) => resolve({ code, output })))

async function stop(process_: ChildProcess): Promise<Ended> {
  const end = ended(process_)
  process_.kill('SIGINT')
  return end
}

async function ready(): Promise<ReadyFile> {
  return waitFor(async () => (existsSync(readyPath) ? (JSON.parse(readFileSync(readyPath, 'utf8')) as ReadyFile) : null), {
    what: 'ready file',
    timeoutMs: 150_000,
    givenUp: () => (child.exitCode === null ? null : output),
  })
}

beforeAll(async () => {
  offset = (await freePorts(4)).offset
  child = start(['--fresh', '--ready-file', readyPath])
  await ready()
})
afterAll(async () => {
  if (child.exitCode === null) await stop(child)
  rmSync(folder, { recursive: true, force: true })
})

describe('npm start', () => {
  it('names every part, its URL and funded accounts in the ready file', async () => {
    const file = await ready()
    expect(file.rpcUrls).toHaveLength(4)
    expect(file.processes.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['validator-0', 'validator-3', 'edge', 'json-source', 'provider-20']),
    )
    expect(file.genesisHash).toMatch(/^0x[0-9a-f]{64}$/)
    const [account] = file.accounts
    expect(BigInt((await callRpc(file.rpcUrls[1] ?? '', 'eth_getBalance', [account?.address, 'latest'])) as string)).toBeGreaterThan(
      10n ** 18n,
    )
    for (const word of ['validators', 'edge', 'providers', 'contract', 'triggers', 'ready']) expect(output).toContain(word)
  })

  it('fires a contract from a provider feed, finally, with the hops in between', async () => {
    const { edgeUrl, demo, rpcUrls } = await ready()
    const client = new FusionClient({ edgeUrl })
    const fire = await waitFor(
      async () =>
        (await client.fires(demo['rainInsuranceTrigger'] as Hash)).items.find(({ finalAtMs, success }) => success && finalAtMs !== null) ??
        null,
      { what: 'a final rain payout', timeoutMs: 120_000, everyMs: 1000 },
    )
    expect(fire.cause?.bundleSequence).toBeGreaterThan(0)
    const receipt = (await callRpc(rpcUrls[2] ?? '', 'eth_getTransactionReceipt', [fire.txHash])) as {
      type: string
      status: string
      logs: unknown[]
    }
    expect(receipt).toMatchObject({ type: '0x46', status: '0x1' })
    expect(receipt.logs.length).toBeGreaterThan(0)
    const final = await blockOf(rpcUrls[0] ?? '', 'finalized')
    expect(final?.number).toBeGreaterThanOrEqual(fire.blockNumber)
    await waitFor(async () => (output.includes('rainInsurance') && output.includes('final +') ? true : null), {
      what: 'the line of the firing',
      timeoutMs: 20_000,
    })
  })

  it('fires from time and from a foreign payment', async () => {
    const { edgeUrl, demo } = await ready()
    const client = new FusionClient({ edgeUrl })
    for (const name of ['heartbeatTrigger', 'paymentGateTrigger']) {
      if (demo[name] === undefined) continue
      const fire = await waitFor(async () => (await client.fires(demo[name] as Hash)).items.find(({ success }) => success) ?? null, {
        what: name,
        timeoutMs: 120_000,
        everyMs: 1000,
      })
      expect(fire.blockNumber).toBeGreaterThan(0)
    }
  })

  it('tells when a validator is killed, goes on, and takes it back when its command line is run again', async () => {
    const { processes, rpcUrls, validators } = await ready()
    const victim = processes.find(({ name }) => name === 'validator-3')
    if (victim === undefined) throw new Error('validator-3 is in the ready file')
    process.kill(victim.pid, 'SIGKILL')
    await waitFor(async () => (output.includes('validator-3 killed by SIGKILL') ? true : null), { what: 'the notice', timeoutMs: 10_000 })
    const head = (await blockOf(rpcUrls[0] ?? '', 'latest'))?.number ?? 0
    await waitFor(async () => (((await blockOf(rpcUrls[0] ?? '', 'finalized'))?.number ?? 0) > head ? true : null), {
      what: 'finality without it',
      timeoutMs: 60_000,
    })
    const { command, args, cwd } = victim.command
    const again = spawn(command, [...args], { cwd, stdio: 'ignore' })
    await waitFor(async () => (((await blockOf(rpcUrls[3] ?? '', 'finalized'))?.number ?? 0) > head ? true : null), {
      what: 'the validator catching up',
      timeoutMs: 60_000,
    })
    expect(validators[3]?.rpcUrl).toBe(rpcUrls[3])
    const gone = ended(again)
    again.kill('SIGTERM')
    expect((await gone).code).toBe(0)
  })

  it('says which port is taken and starts nothing', async () => {
    const first = offset
    offset = (await freePorts(4)).offset
    const blocker = createServer()
    await new Promise<void>((resolve) => blocker.listen(8787 + offset, '127.0.0.1', resolve))
    const outputBefore = output
    const end = await ended(start(['--no-demo'], 'blocked'))
    await new Promise((resolve) => blocker.close(resolve))
    expect(end.code).toBe(3)
    expect(end.output).toContain(`port ${8787 + offset} (edge) is taken`)
    expect(existsSync(join(folder, 'blocked'))).toBe(false)
    offset = first
    output = outputBefore
  })

  it('stops everything on Ctrl-C and goes on with the same chain afterwards', async () => {
    const before = await ready()
    const final = await blockOf(before.rpcUrls[0] ?? '', 'finalized')
    expect((await stop(child)).code).toBe(0)
    expect(await portIsFree(8545 + offset)).toBe(true)
    expect(await portIsFree(8787 + offset)).toBe(true)
    rmSync(readyPath)
    child = start(['--ready-file', readyPath])
    const after = await ready()
    expect(after.genesisHash).toBe(before.genesisHash)
    expect(after.demo).toEqual(before.demo)
    expect((await blockOf(after.rpcUrls[3] ?? '', final?.number ?? 0))?.hash).toBe(final?.hash)
  })

  it('ends what a killed supervisor left behind before it starts again', async () => {
    const { processes, genesisHash } = await ready()
    const gone = ended(child)
    child.kill('SIGKILL')
    await gone
    expect(await portIsFree(8545 + offset)).toBe(false)
    rmSync(readyPath)
    child = start(['--no-demo', '--ready-file', readyPath])
    const after = await ready()
    expect(output).toContain('ended what an earlier start left running')
    expect(after.genesisHash).toBe(genesisHash)
    expect(after.processes.map(({ pid }) => pid)).not.toContain(processes[0]?.pid)
  })
})
