/** Finds the command of a line, runs it, and turns its end into text and an exit code: 0 done, 1 failed, 2 not understood. @module */
import { accountCommands } from '#node/cli/account.ts'
import type { Command } from '#node/cli/command.ts'
import { CommandFailed, UsageError, commandHelp, overview, readLine } from '#node/cli/command.ts'
import { feedCommands } from '#node/cli/feed.ts'
import { keyCommands } from '#node/cli/key.ts'
import type { Environment } from '#node/cli/session.ts'
import { Session } from '#node/cli/session.ts'
import { networkCommands } from '#node/cli/status.ts'
import { triggerReadCommands } from '#node/cli/trigger-read.ts'
import { triggerWriteCommands } from '#node/cli/trigger-write.ts'
import { EdgeProblem, EdgeUnreachable, TriggerInvalid } from '#node/sdk/index.ts'
import { visibleLines } from '#shared/visible-text.ts'

const COMMANDS: readonly Command[] = [
  ...networkCommands,
  ...triggerReadCommands,
  ...triggerWriteCommands,
  ...feedCommands,
  ...accountCommands,
  ...keyCommands,
]

/** What a run prints and how it ends. */
export type RunResult = Readonly<{ code: 0 | 1 | 2; out: string; error: string }>

/** The command whose words the line begins with, and the rest of the line. */
function find(words: readonly string[]): Readonly<{ command: Command; rest: readonly string[] }> | null {
  const matching = COMMANDS.filter(({ path }) => path.split(' ').every((word, index) => words[index] === word))
  const command = matching.toSorted((left, right) => right.path.length - left.path.length)[0]
  return command === undefined ? null : { command, rest: words.slice(command.path.split(' ').length) }
}

/** Why a line names no command: help was asked for, also by a group's name alone, or a word is wrong. */
function withoutCommand(words: readonly string[]): RunResult {
  const named = words.filter((word) => !word.startsWith('-'))
  const prefix = COMMANDS.some(({ path }) => path.startsWith(`${named[0] ?? ''} `)) ? (named[0] ?? '') : ''
  const text = overview(COMMANDS, prefix)
  const isGroup = words.length === 1 && prefix !== ''
  const wantsHelp = named.length === 0 || named[0] === 'help' || words.includes('--help') || isGroup
  return wantsHelp
    ? { code: 0, out: text, error: '' }
    : { code: 2, out: '', error: `fusion: unknown command "${named.join(' ')}"\n\n${text}` }
}

function failure(error: unknown, command: Command): RunResult {
  if (error instanceof UsageError)
    return { code: 2, out: '', error: `fusion ${command.path}: ${error.message}\nSee: fusion ${command.path} --help\n` }
  if (error instanceof EdgeUnreachable || error instanceof EdgeProblem || error instanceof TriggerInvalid || error instanceof CommandFailed)
    return { code: 1, out: '', error: `fusion ${command.path}: ${error.message}\n` }
  const known = error instanceof Error ? error : new Error(String(error))
  return { code: 1, out: '', error: `fusion ${command.path}: ${known.message.split('\n')[0] ?? ''}\n` }
}

/** Runs one command line. What comes of it has nothing in it that acts on a terminal. Never throws. */
export async function runLine(words: readonly string[], environment: Environment, progress?: (line: string) => void): Promise<RunResult> {
  const { code, out, error } = await run(words, environment, progress)
  return { code, out: visibleLines(out), error: visibleLines(error) }
}

async function run(words: readonly string[], environment: Environment, progress?: (line: string) => void): Promise<RunResult> {
  const found = find(words)
  if (found === null) return withoutCommand(words)
  const { command, rest } = found
  try {
    const line = readLine(command, rest)
    if (line.flags.has('help')) return { code: 0, out: commandHelp(command), error: '' }
    const { json, text } = await command.run(new Session(line, environment, progress))
    return { code: 0, out: line.flags.has('json') ? `${JSON.stringify(json, null, 2)}\n` : `${text}\n`, error: '' }
  } catch (error) {
    return failure(error, command)
  }
}
