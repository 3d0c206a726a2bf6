/** CPU time of a process and everything below it, by the operating system's own accounts. @module */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** CPU seconds of each process of a tree so far, by process id and name. */
type TreeTimes = ReadonlyMap<number, Readonly<{ name: string; cpuSeconds: number }>>

/** Seconds of `[days-]hours:minutes:seconds`, as `ps` writes CPU time; fractions are kept. */
function secondsOf(text: string): number {
  const [clock = '', days = '0'] = text.split('-').toReversed()
  return clock.split(':').reduce((total, part) => total * 60 + Number(part), 0) + Number(days) * 86_400
}

/** Clock ticks in a second, in which Linux counts. */
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** CPU seconds of one process with the resolution of a tick where the system tells it; null when it has ended. */
function fineSeconds(pid: number): number | null {
  try {
    // The second field is the name in parentheses, which may hold spaces; user and system ticks are fields 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  } catch {
    // Ended meanwhile, or a system without /proc.
    return null
  }
}

/** CPU times of the tree below a process, itself included. */
export function treeTimes(root: number): TreeTimes {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,time=,args='], { encoding: 'utf8' })
  const rows = table
    .trim()
    .split('\n')
    .flatMap((line) => {
      const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line)
      return match === null ? [] : [{ pid: Number(match[1]), parent: Number(match[2]), time: match[3] ?? '', command: match[4] ?? '' }]
    })
  const members = new Set([root])
  // Parents may be listed after their children: repeat until nothing joins.
  for (let size = 0; size !== members.size;) {
    size = members.size
    for (const { pid, parent } of rows) if (members.has(parent)) members.add(pid)
  }
  return new Map(
    rows
      .filter(({ pid }) => members.has(pid))
      .map(({ pid, time, command }) => [pid, { name: nameOf(command), cpuSeconds: fineSeconds(pid) ?? secondsOf(time) }]),
  )
}

/** What a person calls a process of this project. */
function nameOf(command: string): string {
  const validator = /validators\/(\d+)/.exec(command)
  if (validator !== null) return `validator ${validator[1]}`
  for (const [part, name] of [
    ['supervisor.ts', 'supervisor'],
    ['workerd', 'edge runtime'],
    ['wrangler', 'edge tool'],
    ['esbuild', 'edge bundler'],
    ['anvil', 'foreign chain'],
  ] as const)
    if (command.includes(part)) return name
  return command.slice(0, 40)
}
