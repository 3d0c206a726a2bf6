/** A development network whose parties hold keys: real processes in a temporary folder, hurt and stopped by the tests that started it. @module */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROJECT_DIR } from '#node/supervisor/parts.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { waitFor } from '#node/supervisor/wait.ts'
import { freePorts } from './cluster.ts'
import { Keys } from './keys.ts'

export class KeyNetwork {
  readonly ready: ReadyFile
  readonly keys: Keys
  readonly #folder: string
  readonly #supervisor: ChildProcess
  readonly #restarted: ChildProcess[] = []

  private constructor(folder: string, supervisor: ChildProcess, ready: ReadyFile) {
    this.#folder = folder
    this.#supervisor = supervisor
    this.ready = ready
    this.keys = new Keys(ready.rpcUrls[0] ?? '', ready.accounts[0]?.privateKey ?? '0x')
  }

  /** Resolves when all parties are registered. */
  static async start(parties: number, env: Readonly<Record<string, string>> = {}): Promise<KeyNetwork> {
    const folder = mkdtempSync(join(tmpdir(), 'fusion-keys-'))
    const readyPath = join(folder, 'ready.json')
    const { offset } = await freePorts(4)
    const supervisor = spawn(
      process.execPath,
      [join(PROJECT_DIR, 'node/supervisor.ts'), '--fresh', '--no-demo', '--parties', String(parties), '--ready-file', readyPath],
      {
        cwd: folder,
        env: { ...process.env, ...env, FUSION_DATA_DIR: join(folder, 'data'), FUSION_PORT_OFFSET: String(offset) },
        stdio: 'ignore',
      },
    )
    const ready = await waitFor(async () => (existsSync(readyPath) ? (JSON.parse(readFileSync(readyPath, 'utf8')) as ReadyFile) : null), {
      what: 'ready file',
      timeoutMs: 120_000,
      givenUp: () => (supervisor.exitCode === null ? null : 'the network ended'),
    })
    const network = new KeyNetwork(folder, supervisor, ready)
    await waitFor(async () => ((await network.keys.parties()).length === parties ? true : null), { what: 'parties', timeoutMs: 60_000 })
    return network
  }

  pidOf(name: string): number {
    return this.ready.processes.find((part) => part.name === name)?.pid ?? 0
  }

  kill(name: string): void {
    process.kill(this.pidOf(name), 'SIGKILL')
  }

  /** Starts a process again, with more arguments if given. */
  restart(name: string, more: readonly string[] = []): void {
    const part = this.ready.processes.find((each) => each.name === name)
    if (part === undefined) throw new Error(`no process ${name}`)
    const { command, args, env, cwd } = part.command
    this.#restarted.push(spawn(command, [...args, ...more], { cwd, env: { ...process.env, ...env }, stdio: 'ignore' }))
  }

  /** Ends all processes; the folder stays. */
  async stop(): Promise<void> {
    for (const party of this.#restarted) party.kill('SIGKILL')
    if (this.#supervisor.exitCode !== null) return
    const ended = new Promise((done) => this.#supervisor.once('close', done))
    this.#supervisor.kill('SIGINT')
    await ended
  }

  async destroy(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
