/** What a command of the CLI is, how its line is read, and how its help looks. @module */
import { parseArgs } from 'node:util'
import type { Session } from '#node/cli/session.ts'

/** An option with its help; a `string` takes a value named in `value`. */
export type OptionSpec = Readonly<{ type: 'string'; value: string; help: string } | { type: 'boolean'; help: string }>

/** One command. `run` gives what `--json` prints and what people read. */
export type Command = Readonly<{
  /** Words that name it, like `trigger register`. */
  path: string
  /** Operands as help shows them; `<a>` must be given, `[b]` may. */
  operands: string
  summary: string
  options?: Readonly<Record<string, OptionSpec>>
  run: (session: Session) => Promise<Outcome>
}>

/** Result of a command for machines and for people. */
export type Outcome = Readonly<{ json: unknown; text: string }>

/** A command line that cannot be run; ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A command that ran and failed for a reason the user can act on; ends with exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/** Options every command has. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  edge: { type: 'string', value: 'URL', help: 'edge to ask (default FUSION_EDGE, or http://127.0.0.1:8787)' },
  rpc: { type: 'string', value: 'URL', help: 'validator to read from and send to (default FUSION_RPC, or what the edge names)' },
  json: { type: 'boolean', help: 'print JSON instead of text' },
  help: { type: 'boolean', help: 'show help' },
}

/** Options of commands that sign. */
export const KEY_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  'key-file': { type: 'string', value: 'FILE', help: 'file with the private key as hex (default: the key in FUSION_KEY)' },
  account: { type: 'string', value: 'N', help: 'account N of the public development phrase; development networks only' },
}

/** A command line taken apart. */
export type Line = Readonly<{ operands: readonly string[]; strings: Readonly<Record<string, string>>; flags: ReadonlySet<string> }>

/** Reads the words after a command's name. @throws {UsageError} */
export function readLine(command: Command, words: readonly string[]): Line {
  const specs = { ...COMMON_OPTIONS, ...command.options }
  const options = Object.fromEntries(Object.entries(specs).map(([name, { type }]) => [name, { type }]))
  let parsed: ReturnType<typeof parseArgs>
  try {
    parsed = parseArgs({ args: [...words], options, allowPositionals: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  const strings: Record<string, string> = {}
  const flags = new Set<string>()
  for (const [name, value] of Object.entries(parsed.values)) {
    if (typeof value === 'string') strings[name] = value
    else if (value === true) flags.add(name)
  }
  const least = command.operands.match(/<[^>]+>/g)?.length ?? 0
  const most = least + (command.operands.match(/\[[^\]]+\]/g)?.length ?? 0)
  const operands = parsed.positionals
  if (!flags.has('help') && (operands.length < least || operands.length > most))
    throw new UsageError(`expected ${command.operands === '' ? 'no operands' : command.operands}, got ${operands.length} operands`)
  return { operands, strings, flags }
}

const optionLine = ([name, spec]: readonly [string, OptionSpec]): string =>
  `  ${`--${name}${spec.type === 'string' ? ` ${spec.value}` : ''}`.padEnd(22)} ${spec.help}`

/** Help of one command. */
export function commandHelp(command: Command): string {
  const own = Object.entries(command.options ?? {}).map(optionLine)
  const common = Object.entries(COMMON_OPTIONS).map(optionLine)
  const title = `fusion ${command.path}${command.operands === '' ? '' : ` ${command.operands}`}`
  return [title, '', `  ${command.summary}`, '', ...own, ...common, ''].join('\n')
}

/** Help of everything, or of the commands whose name begins with `prefix`. */
export function overview(commands: readonly Command[], prefix: string): string {
  const shown = commands.filter(({ path }) => prefix === '' || path.startsWith(`${prefix} `))
  const rows = shown.map(({ path, operands, summary }) => `  ${`${path} ${operands}`.trim().padEnd(34)} ${summary}`)
  return ['usage: fusion <command> [operands] [options]', '', ...rows, '', 'fusion <command> --help shows its options.', ''].join('\n')
}
