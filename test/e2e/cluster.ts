/** Four real validator processes on free ports and a temporary folder, for tests that start, kill and restart them. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadOrCreateDevnet } from '#node/genesis-tool.ts'
import type { Child } from '#node/supervisor/child.ts'
import { startChild } from '#node/supervisor/child.ts'
import { openDataDir } from '#node/supervisor/data-dir.ts'
import { PROJECT_DIR, rpcUrls, validatorCommand } from '#node/supervisor/parts.ts'
import { devnetPorts, takenPorts } from '#node/supervisor/ports.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import type { Hash } from '#shared/types.ts'

export type BlockRow = Readonly<{ number: number; hash: Hash; stateRoot: Hash; slot: number }>

/** Ports of a network, none of them in use. */
export async function freePorts(count: number): Promise<DevnetPorts & Readonly<{ offset: number }>> {
  for (;;) {
    const offset = 1000 + Math.floor(Math.random() * 45_000)
    const ports = devnetPorts(count, offset)
    if ((await takenPorts(ports)).length === 0) return { ...ports, offset }
  }
}

/** A block of one node by tag or number, null when the node does not have it. */
export async function blockOf(url: string, tag: string | number): Promise<BlockRow | null> {
  const block = (await callRpc(url, 'eth_getBlockByNumber', [typeof tag === 'number' ? `0x${tag.toString(16)}` : tag, false])) as Record<
    string,
    string
  > | null
  if (block === null) return null
  return {
    number: Number(block['number']),
    hash: block['hash'] as Hash,
    stateRoot: block['stateRoot'] as Hash,
    slot: Number(block['slot'] ?? 0),
  }
}

/** Consensus alone: keys have a network of their own in key-network.ts. */
export const ALONE = { hasParty: false } as const

export class Cluster {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'fusion-e2e-'))
  readonly ports: DevnetPorts
  readonly children: (Child | null)[]

  private constructor(ports: DevnetPorts, count: number) {
    this.ports = ports
    this.children = Array.from({ length: count }, () => null)
  }

  /** Starts all validators of a new chain. */
  static async start(count = 4): Promise<Cluster> {
    const cluster = new Cluster(await freePorts(count), count)
    openDataDir(cluster.dataDir, false)
    loadOrCreateDevnet(cluster.dataDir, { chainId: 81_920 }, count)
    await Promise.all(cluster.children.map((_, index) => cluster.startValidator(index)))
    return cluster
  }

  url(index: number): string {
    return rpcUrls(this.ports)[index] ?? ''
  }

  async startValidator(index: number): Promise<void> {
    const child = await startChild(validatorCommand(this.dataDir, this.ports, index, ALONE))
    this.children[index] = child
    await waitFor(async () => (await callRpc(this.url(index), 'eth_chainId')) ?? null, {
      what: `validator ${index}`,
      timeoutMs: 30_000,
      givenUp: () => (child.running() ? null : `ended:\n${child.tail().join('\n')}`),
    })
  }

  /** Starts a node without a key, on ports of its own, that knows all validators. */
  async startFollower(): Promise<Readonly<{ url: string; stop: () => Promise<void> }>> {
    const ports = await freePorts(1)
    const [rpc = 0, p2p = 0] = [ports.rpc[0], ports.p2p[0]]
    const base = validatorCommand(this.dataDir, this.ports, 0, ALONE)
    const child = await startChild({
      ...base,
      name: 'follower',
      args: [
        join(PROJECT_DIR, 'node/main.ts'),
        ...Object.entries({
          'data-dir': join(this.dataDir, 'follower'),
          genesis: join(this.dataDir, 'genesis.json'),
          'rpc-port': String(rpc),
          'p2p-port': String(p2p),
          peers: this.ports.p2p.map((port) => `/ip4/127.0.0.1/tcp/${port}`).join(','),
        }).flatMap(([name, value]) => [`--${name}`, value]),
      ],
      logPath: join(this.dataDir, 'logs', 'follower.log'),
    })
    const url = `http://127.0.0.1:${rpc}`
    await waitFor(async () => (await callRpc(url, 'eth_chainId')) ?? null, { what: 'follower', timeoutMs: 30_000 })
    return { url, stop: () => child.stop() }
  }

  /** SIGKILL: no handler runs, nothing is flushed. */
  async kill(index: number): Promise<void> {
    const child = this.children[index]
    if (child === null || child === undefined) return
    process.kill(child.pid, 'SIGKILL')
    await child.exited
    this.children[index] = null
  }

  /** Waits until a node's block of a tag has at least this number. */
  reach(index: number, tag: string, number: number, timeoutMs = 30_000): Promise<BlockRow> {
    return waitFor(
      async () => {
        const block = await blockOf(this.url(index), tag)
        return block !== null && block.number >= number ? block : null
      },
      { what: `${tag} block ${number} of validator ${index}`, timeoutMs, everyMs: 100 },
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.children.flatMap((child) => (child === null ? [] : [child.stop()])))
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
