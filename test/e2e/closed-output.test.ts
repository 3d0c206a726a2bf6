/** `npm start` whose reader goes away: the network goes on, and a signal still stops all of it. @module */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { signalGroup } from '#node/supervisor/child.ts'
import { PROJECT_DIR } from '#node/supervisor/parts.ts'
import { portIsFree } from '#node/supervisor/ports.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { freePorts } from './cluster.ts'

type Leftovers = Readonly<{ groups: readonly Readonly<{ pid: number }>[] }>

const folder = mkdtempSync(join(tmpdir(), 'fusion-closed-'))

afterAll(() => {
  // There is no such file after an orderly stop.
  const leftovers = join(folder, 'data', 'processes.json')
  if (existsSync(leftovers))
    for (const { pid } of (JSON.parse(readFileSync(leftovers, 'utf8')) as Leftovers).groups) signalGroup(pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

let offset = 0
beforeAll(async () => {
  offset = (await freePorts(4)).offset
})

it('stops every process when its output has no reader any more', async () => {
  const readyPath = join(folder, 'ready.json')
  const child = spawn(process.execPath, [join(PROJECT_DIR, 'node/supervisor.ts'), '--fresh', '--no-demo', '--ready-file', readyPath], {
    cwd: folder,
    env: { ...process.env, FUSION_DATA_DIR: join(folder, 'data'), FUSION_PORT_OFFSET: String(offset) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  child.stdout.destroy()
  child.stderr.destroy()
  const file = await waitFor(async () => (existsSync(readyPath) ? (JSON.parse(readFileSync(readyPath, 'utf8')) as ReadyFile) : null), {
    what: 'ready file',
    timeoutMs: 150_000,
    givenUp: () => (child.exitCode === null ? null : `ended with code ${child.exitCode}`),
  })
  expect(await callRpc(file.rpcUrls[3] ?? '', 'eth_chainId')).toBe('0x14000')
  child.kill('SIGINT')
  expect(await ended).toBe(0)
  for (const port of [8545, 8548, 8787, 8645]) expect(await portIsFree(port + offset), String(port)).toBe(true)
})
