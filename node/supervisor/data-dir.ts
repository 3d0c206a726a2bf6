/** The one folder a development network writes to: marked, wiped only when marked, and free of leftovers before a start. @module */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as z from 'zod'
import { DecodeError } from '#shared/fault.ts'
import { signalGroup } from '#node/supervisor/child.ts'

const MARKER = '.fusion-data'
const MARKER_TEXT = 'This folder belongs to a FUSION development network. "npm start -- --fresh" deletes it.\n'
const GROUPS = 'processes.json'

const groupsSchema = z.strictObject({
  supervisor: z.int(),
  /** `startedAt` tells a process from a later one of the same number. */
  groups: z.array(z.strictObject({ pid: z.int().positive(), name: z.string(), startedAt: z.string() })),
})

/**
 * Creates the folder and its marker, or accepts one that has it; wipes it first when `fresh`.
 * @throws {DecodeError} DATA_DIR_FOREIGN when the folder holds something that is not ours
 */
export function openDataDir(path: string, fresh: boolean): void {
  const marker = join(path, MARKER)
  if (existsSync(path) && !existsSync(marker) && readdirSync(path).length > 0)
    throw new DecodeError(
      'DATA_DIR_FOREIGN',
      resolve(path),
      `the folder is not empty and has no ${MARKER} file; choose another FUSION_DATA_DIR`,
    )
  if (fresh) rmSync(path, { recursive: true, force: true })
  mkdirSync(join(path, 'logs'), { recursive: true, mode: 0o700 })
  writeFileSync(marker, MARKER_TEXT)
}

/** A column of the process table for one process, empty when there is none of that number. */
function psColumn(pid: number, column: 'command' | 'lstart'): string {
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    // ps ends with 1 for a process that does not exist.
    return ''
  }
}

/** Remembers the running process groups, so that a later start can end what a killed supervisor left behind. */
export function rememberGroups(path: string, supervisor: number, groups: readonly Readonly<{ pid: number; name: string }>[]): void {
  const known = groups.map(({ pid, name }) => ({ pid, name, startedAt: psColumn(pid, 'lstart') }))
  writeFileSync(join(path, GROUPS), `${JSON.stringify({ supervisor, groups: known })}\n`)
}

/** Forgets them after a clean stop. */
export function forgetGroups(path: string): void {
  rmSync(join(path, GROUPS), { force: true })
}

/** Whether a living process belongs to the group; the dead that nobody has collected yet do not count. */
function groupAlive(groupId: number): boolean {
  const table = execFileSync('ps', ['-A', '-o', 'pgid=,stat='], { encoding: 'utf8' })
  return table.split('\n').some((line) => {
    const [group, state = ''] = line.trim().split(/\s+/)
    return Number(group) === groupId && !state.startsWith('Z')
  })
}

async function groupGone(groupId: number, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs
  while (groupAlive(groupId)) {
    if (Date.now() > deadline) return false
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return true
}

/** Ends a process group that is not our child: asks, waits, then insists. */
async function endGroup(groupId: number, graceMs: number): Promise<void> {
  signalGroup(groupId, 'SIGTERM')
  if (await groupGone(groupId, graceMs)) return
  signalGroup(groupId, 'SIGKILL')
  await groupGone(groupId, graceMs)
}

function readGroups(path: string): z.output<typeof groupsSchema> | null {
  const file = join(path, GROUPS)
  if (!existsSync(file)) return null
  try {
    return groupsSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // A half-written file names nobody whom it would be safe to end.
    return null
  }
}

/**
 * Ends the process groups a killed supervisor left behind; a group counts only when its leader started when it was remembered to.
 * Returns their names. @throws {DecodeError} ALREADY_RUNNING when that supervisor is alive
 */
export async function endLeftovers(path: string): Promise<readonly string[]> {
  const known = readGroups(path)
  if (known === null) return []
  if (known.supervisor !== process.pid && psColumn(known.supervisor, 'command').includes('supervisor'))
    throw new DecodeError(
      'ALREADY_RUNNING',
      resolve(path),
      `process ${known.supervisor} already runs a network here; stop it with Ctrl-C or kill ${known.supervisor}`,
    )
  const ours = known.groups.filter(({ pid, startedAt }) => startedAt !== '' && psColumn(pid, 'lstart') === startedAt)
  await Promise.all(ours.map(({ pid }) => endGroup(pid, 5_000)))
  forgetGroups(path)
  return ours.map(({ name }) => name)
}
