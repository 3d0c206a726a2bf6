/** The ready file: what a script needs to use, and to hurt, a running development network. @module */
import { renameSync, writeFileSync } from 'node:fs'
import type { Address, Hash, Hex } from '#shared/types.ts'
import type { Child } from '#node/supervisor/child.ts'

export type ReadyPart = Readonly<{
  name: string
  pid: number
  /** The same command line starts the part again. */
  command: Readonly<{ command: string; args: readonly string[]; env: Readonly<Record<string, string>>; cwd: string; logPath: string }>
}>

export type ReadyFile = Readonly<{
  version: 1
  chainId: number
  genesisHash: Hash
  genesisTimeMs: number
  slotMs: number
  dataDir: string
  supervisorPid: number
  rpcUrls: readonly string[]
  edgeUrl: string
  /** Null when the platform has no foreign chain. */
  foreignChain: Readonly<{ url: string; chainId: number }> | null
  jsonSourceUrl: string | null
  validators: readonly Readonly<{ address: Address; rpcUrl: string; p2p: string }>[]
  /** Funded accounts of the public test phrase. */
  accounts: readonly Readonly<{ index: number; address: Address; privateKey: Hex }>[]
  processes: readonly ReadyPart[]
  /** Contracts and triggers of the demo, empty without it. */
  demo: Readonly<Record<string, string>>
}>

/** Parts of a ready file for running children. */
export const readyParts = (children: readonly Child[]): readonly ReadyPart[] =>
  children
    .filter((child) => child.running())
    .map(({ name, pid, command: { command, args, env, cwd, logPath } }) => ({ name, pid, command: { command, args, env, cwd, logPath } }))

/** Writes it whole: a reader sees no file or a complete one. */
export function writeReadyFile(path: string, content: ReadyFile): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
