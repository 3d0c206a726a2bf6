/** One supervised process in its own process group, with its output in a file and its last lines at hand. @module */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { constants } from 'node:os'

export type ChildCommand = Readonly<{
  name: string
  command: string
  args: readonly string[]
  /** Added to the supervisor's own environment. */
  env: Readonly<Record<string, string>>
  cwd: string
  logPath: string
}>

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>

export type Child = Readonly<{
  name: string
  pid: number
  command: ChildCommand
  /** Resolves when the process has ended, however. */
  exited: Promise<Exit>
  running: () => boolean
  /** Last lines of output, oldest first. */
  tail: () => readonly string[]
  /** SIGTERM to the whole group, and SIGKILL to it when it is not gone after `graceMs`. Resolves when the process has ended. */
  stop: (graceMs?: number) => Promise<void>
}>

const TAIL_LINES = 20
const LINE_CHARACTERS_MAX = 500
const GRACE_MS = 5_000

function collectLines(keep: string[]): (chunk: Buffer) => void {
  let rest = ''
  return (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split('\n')
    rest = (lines.pop() ?? '').slice(-LINE_CHARACTERS_MAX)
    keep.push(...lines.filter((line) => line.trim() !== '').map((line) => line.slice(0, LINE_CHARACTERS_MAX)))
    keep.splice(0, Math.max(0, keep.length - TAIL_LINES))
  }
}

/** Sends a signal to a process group; false when there is none of that number any more. */
export function signalGroup(groupId: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-groupId, signal)
    return true
  } catch {
    // No such group: it has ended, which is what was wanted.
    return false
  }
}

/** Starts the process. @throws when the program cannot be started at all */
export async function startChild(command: ChildCommand): Promise<Child> {
  const log = createWriteStream(command.logPath, { flags: 'a', mode: 0o600 })
  const process_ = spawn(command.command, [...command.args], {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  for (const stream of [process_.stdout, process_.stderr]) {
    stream.on('data', collectLines(lines))
    stream.pipe(log, { end: false })
  }
  const exited = new Promise<Exit>((resolve) => {
    process_.on('close', (code, signal) => {
      log.end()
      resolve({ code, signal })
    })
  })
  await new Promise<void>((resolve, reject) => {
    process_.once('spawn', resolve)
    process_.once('error', reject)
  })
  const pid = process_.pid ?? 0
  return {
    name: command.name,
    pid,
    command,
    exited,
    running: () => process_.exitCode === null && process_.signalCode === null,
    tail: () => lines,
    stop: async (graceMs = GRACE_MS) => {
      signalGroup(pid, 'SIGTERM')
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs)
      // The pipes close when the last process of the group that holds them has ended, not only the leader.
      await exited
      clearTimeout(timer)
      signalGroup(pid, 'SIGKILL')
    },
  }
}

/** How an exit is told to a person. */
export function describeExit({ code, signal }: Exit): string {
  if (signal !== null) return `killed by ${signal} (${constants.signals[signal]})`
  return code === 0 ? 'ended' : `ended with code ${code}`
}
