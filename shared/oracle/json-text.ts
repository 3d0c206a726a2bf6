/**
 * JSON read without a double: numbers stay the text they were, so that every runtime signs the same value. Source: RFC 8259.
 * Strict, bounded in size and depth; a repeated member name is an error, since readers differ on which one counts.
 * @module
 */
import { DecodeError } from '#shared/fault.ts'

/** Longest text read, UTF-16 units. */
export const JSON_TEXT_MAX = 262_144
const DEPTH_MAX = 64

/** A JSON value; `text` of a number is its source text. */
export type JsonNode =
  | Readonly<{ kind: 'number'; text: string }>
  | Readonly<{ kind: 'string'; text: string }>
  | Readonly<{ kind: 'literal'; value: true | false | null }>
  | Readonly<{ kind: 'array'; items: readonly JsonNode[] }>
  | Readonly<{ kind: 'object'; members: ReadonlyMap<string, JsonNode> }>

type Cursor = { readonly text: string; at: number }

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y
// Everything up to the closing quote: no control characters, known escapes only.
// oxlint-disable-next-line no-control-regex -- RFC 8259 forbids exactly these characters
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

function fail(cursor: Cursor, message: string): never {
  throw new DecodeError('JSON_INVALID', '', `${message} at character ${cursor.at}`)
}

function take(cursor: Cursor, pattern: RegExp): string | null {
  pattern.lastIndex = cursor.at
  const found = pattern.exec(cursor.text)?.[0]
  if (found === undefined) return null
  cursor.at += found.length
  return found
}

function takeSign(cursor: Cursor, sign: string): boolean {
  take(cursor, SPACE)
  if (cursor.text[cursor.at] !== sign) return false
  cursor.at += 1
  return true
}

function readString(cursor: Cursor): string {
  take(cursor, SPACE)
  const quoted = take(cursor, STRING) ?? fail(cursor, 'expected a string')
  return quoted
    .slice(1, -1)
    .replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, code: string | undefined, letter: string) =>
      code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16)),
    )
}

function readArray(cursor: Cursor, depth: number): JsonNode {
  const items: JsonNode[] = []
  if (takeSign(cursor, ']')) return { kind: 'array', items }
  do items.push(readValue(cursor, depth))
  while (takeSign(cursor, ','))
  return takeSign(cursor, ']') ? { kind: 'array', items } : fail(cursor, 'expected , or ]')
}

function readObject(cursor: Cursor, depth: number): JsonNode {
  const members = new Map<string, JsonNode>()
  if (takeSign(cursor, '}')) return { kind: 'object', members }
  do {
    const name = readString(cursor)
    if (members.has(name)) fail(cursor, 'member name repeats')
    if (!takeSign(cursor, ':')) fail(cursor, 'expected :')
    members.set(name, readValue(cursor, depth))
  } while (takeSign(cursor, ','))
  return takeSign(cursor, '}') ? { kind: 'object', members } : fail(cursor, 'expected , or }')
}

function readValue(cursor: Cursor, depth: number): JsonNode {
  if (depth > DEPTH_MAX) fail(cursor, `nested deeper than ${DEPTH_MAX}`)
  if (takeSign(cursor, '{')) return readObject(cursor, depth + 1)
  if (takeSign(cursor, '[')) return readArray(cursor, depth + 1)
  if (cursor.text[cursor.at] === '"') return { kind: 'string', text: readString(cursor) }
  for (const [word, value] of [
    ['true', true],
    ['false', false],
    ['null', null],
  ] as const)
    if (cursor.text.startsWith(word, cursor.at)) {
      cursor.at += word.length
      return { kind: 'literal', value }
    }
  return { kind: 'number', text: take(cursor, NUMBER) ?? fail(cursor, 'expected a value') }
}

/** Reads one JSON text. @throws {DecodeError} JSON_INVALID, JSON_TOO_LARGE */
export function parseJsonText(text: string): JsonNode {
  if (text.length > JSON_TEXT_MAX) throw new DecodeError('JSON_TOO_LARGE', '', `expected at most ${JSON_TEXT_MAX} characters`)
  const cursor: Cursor = { text, at: 0 }
  const value = readValue(cursor, 0)
  take(cursor, SPACE)
  if (cursor.at !== text.length) fail(cursor, 'text after the value')
  return value
}
