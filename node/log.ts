/** One line per event: time, level, part, event, fields. Written to stderr and, when given, to a file. @module */
import { appendFileSync, closeSync, openSync } from 'node:fs'

export type Fields = Readonly<Record<string, string | number | boolean | null>>
/** How grave an event is. */
export type Level = 'debug' | 'info' | 'warn' | 'error'

export type Logger = Readonly<{
  debug: (event: string, fields?: Fields) => void
  info: (event: string, fields?: Fields) => void
  warn: (event: string, fields?: Fields) => void
  error: (event: string, fields?: Fields) => void
  close: () => void
}>

const ORDER: readonly Level[] = ['debug', 'info', 'warn', 'error']
/** Field values come from peers too: nothing in them may start a new line or grow without end. */
const VALUE_CHARACTERS_MAX = 400

const show = (value: Fields[string]): string => {
  const text = String(value)
    .slice(0, VALUE_CHARACTERS_MAX)
    .replaceAll(/\p{Cc}/gu, ' ')
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text
}

/** Formats one event without its newline. */
export function formatLine(timeMs: number, level: Level, part: string, event: string, fields: Fields): string {
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${show(value)}`)
  return `${new Date(timeMs).toISOString()} ${level.padEnd(5)} ${part} ${event}${pairs.join('')}`
}

/** A logger that drops what is below `least`. */
export function createLogger(part: string, least: Level, filePath: string | null): Logger {
  // Whoever reads stderr may end before this process does; the file still has every line.
  process.stderr.on('error', () => undefined)
  const file = filePath === null ? null : openSync(filePath, 'a', 0o600)
  const write = (level: Level, event: string, fields: Fields = {}): void => {
    if (ORDER.indexOf(level) < ORDER.indexOf(least)) return
    const line = `${formatLine(Date.now(), level, part, event, fields)}\n`
    process.stderr.write(line)
    if (file !== null) appendFileSync(file, line)
  }
  return {
    debug: (event, fields) => write('debug', event, fields),
    info: (event, fields) => write('info', event, fields),
    warn: (event, fields) => write('warn', event, fields),
    error: (event, fields) => write('error', event, fields),
    close: () => {
      if (file !== null) closeSync(file)
    },
  }
}
