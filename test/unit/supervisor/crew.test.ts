/** The supervisor's crew, settings and files. @module */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HDNodeWallet } from 'ethers'
import { afterAll, describe, expect, it } from 'vitest'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { ChildCommand } from '#node/supervisor/child.ts'
import { createCrew } from '#node/supervisor/crew.ts'
import { openDataDir } from '#node/supervisor/data-dir.ts'
import { writeEdgeConfig, writeEdgeVars } from '#node/supervisor/edge-vars.ts'
import { PROJECT_DIR, edgeCommand, edgeConfigPath, migrationCommand } from '#node/supervisor/parts.ts'
import { devnetPorts } from '#node/supervisor/ports.ts'
import { readyParts, writeReadyFile } from '#node/supervisor/ready.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { readSettings } from '#node/supervisor/settings.ts'
import { waitFor } from '#node/supervisor/wait.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-crew-'))
afterAll(() => rmSync(folder, { recursive: true }))
openDataDir(folder, false)
const shell = (name: string, script: string): ChildCommand => ({
  name,
  command: '/bin/sh',
  args: ['-c', script],
  env: {},
  cwd: folder,
  logPath: join(folder, 'logs', `${name}.log`),
})
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('crew', () => {
  it('says who died with the last words, lets the rest go on, and stops all without a word', async () => {
    const lines: string[] = []
    const crew = createCrew(folder, (line) => lines.push(line))
    const stays = await crew.start(shell('validator-0', 'while true; do sleep 0.1; done'))
    await crew.start(shell('validator-1', 'echo first; echo "the disk is full"; exit 7'))
    while (lines.length === 0) await sleep(20)
    expect(lines[0]).toContain('validator-1 ended with code 7')
    expect(lines[0]).toContain('the disk is full')
    expect(stays.running()).toBe(true)
    expect(JSON.parse(readFileSync(join(folder, 'processes.json'), 'utf8'))).toEqual({
      supervisor: process.pid,
      groups: [{ pid: stays.pid, name: 'validator-0', startedAt: expect.stringMatching(/\d\d:\d\d:\d\d/) as string }],
    })
    expect(readyParts(crew.children()).map(({ name }) => name)).toEqual(['validator-0'])
    await crew.stopAll()
    expect(stays.running()).toBe(false)
    expect(lines).toHaveLength(1)
  })

  it('runs a command to its end and throws its last words when it fails', async () => {
    const crew = createCrew(folder, () => undefined)
    await crew.runToEnd(shell('good', 'exit 0'))
    await expect(crew.runToEnd(shell('bad', 'echo "no such table"; exit 1'))).rejects.toThrow(/bad ended with code 1[^]*no such table/)
    await crew.stopAll()
  })
})

describe('settings of npm start', () => {
  it('have defaults, flags and environment', () => {
    expect(readSettings([], {})).toMatchObject({
      portOffset: 0,
      chainId: 81_920,
      heartbeatBlocks: 200,
      isFresh: false,
      withDemo: true,
      readyFile: null,
    })
    expect(
      readSettings(['--fresh', '--no-demo', '--parties', '6', '--ready-file', '/x/r.json'], {
        FUSION_DATA_DIR: '/x/d',
        FUSION_PORT_OFFSET: '7',
        FUSION_CHAIN_ID: '9',
        FUSION_HEARTBEAT_BLOCKS: '40',
      }),
    ).toEqual({
      dataDir: '/x/d',
      portOffset: 7,
      chainId: 9,
      heartbeatBlocks: 40,
      isFresh: true,
      withDemo: false,
      parties: 6,
      readyFile: '/x/r.json',
    })
    expect(readSettings(['--help'], {})).toBe('help')
  })

  it.each([
    [['--frehs'], {}, /FLAG_UNKNOWN/],
    [['--parties', '3'], {}, /SETTING_INVALID at --parties/],
    [['--parties', '33'], {}, /SETTING_INVALID at --parties/],
    [[], { FUSION_PORT_OFFSET: 'x' }, /SETTING_INVALID at FUSION_PORT_OFFSET/],
    [[], { FUSION_CHAIN_ID: '0' }, /SETTING_INVALID at FUSION_CHAIN_ID/],
    [[], { FUSION_HEARTBEAT_BLOCKS: '19' }, /SETTING_INVALID at FUSION_HEARTBEAT_BLOCKS/],
    [[], { FUSION_HEARTBEAT_BLOCKS: '257' }, /SETTING_INVALID at FUSION_HEARTBEAT_BLOCKS/],
    [[], { FUSION_DATA_DIR: '' }, /SETTING_INVALID at FUSION_DATA_DIR/],
  ])('refuse %j %j', (args, env, message) => {
    expect(() => readSettings(args, env)).toThrow(message)
  })
})

describe('files of the supervisor', () => {
  it('hold accounts that other wallets derive from the same phrase', () => {
    const phrase = 'test test test test test test test test test test test junk'
    for (const index of [0, 10, 23]) {
      const other = HDNodeWallet.fromPhrase(phrase, '', `m/44'/60'/0'/0/${index}`)
      expect(devAccount(index)).toEqual({ index, address: other.address.toLowerCase(), privateKey: other.privateKey })
    }
  })

  it('keep the secret of the edge from other users', () => {
    const path = writeEdgeVars(folder, devnetPorts(4, 100), { foreignChain: true, demo: true })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain("RPC_URLS='http://127.0.0.1:8645,")
    expect(text).toContain(devAccount(10).privateKey)
    expect(text).toContain('"chainId":31337')
    expect(text).toContain('json-source')
    const bare = readFileSync(writeEdgeVars(folder, devnetPorts(4, 100), { foreignChain: false, demo: false }), 'utf8')
    expect(bare).toContain("JSON_SOURCES='[]'")
    expect(bare).toContain("FOREIGN_CHAINS='[]'")
  })

  it("give the edge's tool a configuration of its own, so that it builds inside the data folder", () => {
    writeEdgeConfig(folder)
    const text = readFileSync(edgeConfigPath(folder), 'utf8')
    expect(text).toContain(`main = "${join(PROJECT_DIR, 'workers/index.ts')}"`)
    expect(text).toContain(`migrations_dir = "${join(PROJECT_DIR, 'migrations')}"`)
    expect([migrationCommand(folder), edgeCommand(folder, devnetPorts(4, 0), 'vars')].map(({ cwd }) => cwd)).toEqual([folder, folder])
  })

  it('include a ready file that is whole or absent', () => {
    const path = join(folder, 'ready.json')
    writeReadyFile(path, { version: 1, chainId: 5 } as ReadyFile)
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ version: 1, chainId: 5 })
  })
})

describe('waiting', () => {
  it('gives the first value, passes over errors, and ends with a reason', async () => {
    let count = 0
    const probe = async () => {
      count++
      if (count === 1) throw new Error('not yet')
      return count === 3 ? 'there' : null
    }
    expect(await waitFor(probe, { what: 'it', timeoutMs: 2000, everyMs: 5 })).toBe('there')
    await expect(waitFor(async () => null, { what: 'it', timeoutMs: 30, everyMs: 5 })).rejects.toThrow(/it: not within 0.03 s/)
    await expect(waitFor(async () => null, { what: 'it', timeoutMs: 5000, givenUp: () => 'it died' })).rejects.toThrow(/it died/)
  })
})
