/** Process groups, ports and the data folder of the supervisor. @module */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describeExit, startChild } from '#node/supervisor/child.ts'
import { endLeftovers, openDataDir, rememberGroups } from '#node/supervisor/data-dir.ts'
import { devnetPorts, portIsFree } from '#node/supervisor/ports.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-supervisor-'))
afterAll(() => rmSync(folder, { recursive: true }))
const alive = (pid: number): boolean => {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}
const shell = (name: string, script: string, extra: readonly string[] = []) =>
  startChild({
    name,
    command: '/bin/sh',
    args: ['-c', script, ...extra],
    env: { GREETING: 'hello' },
    cwd: folder,
    logPath: join(folder, `${name}.log`),
  })
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('supervised process', () => {
  it('keeps its output in the log and its last lines at hand', async () => {
    const child = await shell('talker', 'for i in $(seq 1 50); do echo "$GREETING $i"; done; echo oops >&2; exit 3')
    expect(describeExit(await child.exited)).toBe('ended with code 3')
    expect(child.running()).toBe(false)
    expect(child.tail()).toHaveLength(20)
    expect(child.tail()).toContain('oops')
    await sleep(50)
    expect(readFileSync(join(folder, 'talker.log'), 'utf8')).toContain('hello 1\n')
  })

  it('ends with everything it started, also what ignores the polite signal', async () => {
    const child = await shell(
      'stubborn',
      'trap "" TERM; (trap "" TERM; echo $$; while true; do sleep 0.1; done) & echo "inner $!"; wait; while true; do sleep 0.1; done',
    )
    while (!child.tail().some((line) => line.startsWith('inner'))) await sleep(20)
    const inner = Number(
      child
        .tail()
        .find((line) => line.startsWith('inner'))
        ?.slice(6),
    )
    expect(alive(inner)).toBe(true)
    await child.stop(300)
    await sleep(50)
    expect(alive(inner)).toBe(false)
    expect(describeExit(await child.exited)).toContain('SIGKILL')
  })

  it('cannot be started from a program that does not exist', async () => {
    await expect(
      startChild({ name: 'none', command: join(folder, 'nothing'), args: [], env: {}, cwd: folder, logPath: join(folder, 'none.log') }),
    ).rejects.toThrow(/ENOENT/)
  })
})

describe('ports of the development network', () => {
  it('are the documented ones and move together', () => {
    expect(devnetPorts(4, 0)).toEqual({
      rpc: [8545, 8546, 8547, 8548],
      p2p: [9545, 9546, 9547, 9548],
      party: [9745, 9746, 9747, 9748],
      edge: 8787,
      anvil: 8645,
      jsonSource: 8790,
    })
    expect(devnetPorts(4, 1000).edge).toBe(9787)
    expect(() => devnetPorts(4, 60_000)).toThrow(/FUSION_PORT_OFFSET/)
    expect(() => devnetPorts(4, Number.NaN)).toThrow(/FUSION_PORT_OFFSET/)
  })

  it('are seen as taken while something listens', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    expect(await portIsFree(port)).toBe(false)
    await new Promise((resolve) => server.close(resolve))
    expect(await portIsFree(port)).toBe(true)
  })
})

describe('data folder', () => {
  it('is never wiped or used when it is not ours', () => {
    const foreign = join(folder, 'foreign')
    mkdirSync(foreign)
    writeFileSync(join(foreign, 'thesis.txt'), 'precious')
    expect(() => openDataDir(foreign, true)).toThrow(/DATA_DIR_FOREIGN/)
    expect(() => openDataDir(foreign, false)).toThrow(/DATA_DIR_FOREIGN/)
    expect(readFileSync(join(foreign, 'thesis.txt'), 'utf8')).toBe('precious')
  })

  it('is wiped by fresh and kept otherwise', () => {
    const own = join(folder, 'own')
    openDataDir(own, false)
    writeFileSync(join(own, 'state'), 'x')
    openDataDir(own, false)
    expect(existsSync(join(own, 'state'))).toBe(true)
    openDataDir(own, true)
    expect(existsSync(join(own, 'state'))).toBe(false)
    openDataDir(own, true)
  })

  it('rids itself of processes it remembers and leaves those alone that only have their number', async () => {
    const own = join(folder, 'leftovers')
    openDataDir(own, false)
    const mine = await shell('mine', 'while true; do sleep 0.1; done')
    const other = await shell('other', 'while true; do sleep 0.1; done')
    rememberGroups(own, 999_999_999, [mine, other])
    const file = join(own, 'processes.json')
    const known = JSON.parse(readFileSync(file, 'utf8')) as { groups: { name: string; startedAt: string }[] }
    const changed = known.groups.map((group) => (group.name === 'other' ? { ...group, startedAt: 'Mon Jan  1 00:00:00 2024' } : group))
    writeFileSync(file, JSON.stringify({ ...known, groups: changed }))
    expect(await endLeftovers(own)).toEqual(['mine'])
    await mine.exited
    expect(other.running()).toBe(true)
    await other.stop(500)
    expect(await endLeftovers(own)).toEqual([])
  })

  it('does not start twice', async () => {
    const own = join(folder, 'twice')
    openDataDir(own, false)
    const first = await shell('first', 'while true; do sleep 0.1; done', ['supervisor.ts'])
    rememberGroups(own, first.pid, [])
    await expect(endLeftovers(own)).rejects.toThrow(/ALREADY_RUNNING/)
    await first.stop(500)
  })
})
