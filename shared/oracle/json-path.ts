/**
 * Singular JSONPath queries: those that name at most one node, without filters, wildcards or descent, so that selecting costs nothing and
 * means the same everywhere. Source: RFC 9535, sections 2.3.5.1 (singular-query) and 2.3.1.1 (name selectors).
 * @module
 */
import { DecodeError } from '#shared/fault.ts'
import type { JsonNode } from '#shared/oracle/json-text.ts'

/** A member name or an index; negative indexes count from the end. */
export type PathStep = string | number

const QUERY_MAX = 256
const STEPS_MAX = 32
const INDEX = /^(?:0|-?[1-9][0-9]*)$/
const SPACE = /[ \t\n\r]*/y
const SHORTHAND = /\.((?:[A-Za-z_]|[^\p{ASCII}\p{Cs}])(?:[A-Za-z0-9_]|[^\p{ASCII}\p{Cs}])*)/uy
const BRACKET =
  /\[[ \t\n\r]*(?:(-?[0-9]+)|"((?:[ !#-[\]-\u{d7ff}\u{e000}-\u{10ffff}]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*)"|'((?:[ -&(-[\]-\u{d7ff}\u{e000}-\u{10ffff}]|\\(?:['\\/bfnrt]|u[0-9A-Fa-f]{4}))*)')[ \t\n\r]*\]/uy
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }
const LONE_SURROGATE = /\p{Cs}/u

function fail(at: number, message: string): never {
  throw new DecodeError('PATH_INVALID', '', `${message} at character ${at} of the query`)
}

function unescaped(quoted: string, at: number): string {
  const name = quoted.replaceAll(/\\(?:u([0-9A-Fa-f]{4})|(.))/g, (_, code: string | undefined, letter: string) =>
    code === undefined ? (ESCAPES[letter] ?? letter) : String.fromCharCode(Number.parseInt(code, 16)),
  )
  return LONE_SURROGATE.test(name) ? fail(at, 'half a surrogate pair') : name
}

function indexStep(digits: string, at: number): number {
  const index = Number(digits)
  return INDEX.test(digits) && Number.isSafeInteger(index) ? index : fail(at, 'index out of form or range')
}

function stepAt(query: string, at: number): Readonly<{ step: PathStep; end: number }> | null {
  SHORTHAND.lastIndex = at
  const short = SHORTHAND.exec(query)
  if (short?.[1] !== undefined) return { step: short[1], end: SHORTHAND.lastIndex }
  BRACKET.lastIndex = at
  const match = BRACKET.exec(query)
  if (match === null) return null
  const [, digits, double, single] = match
  const end = BRACKET.lastIndex
  return { step: digits === undefined ? unescaped(double ?? single ?? '', at) : indexStep(digits, at), end }
}

/** Steps of a singular query; refuses every other query. @throws {DecodeError} PATH_INVALID */
export function parseSingularPath(query: string): readonly PathStep[] {
  if (query.length > QUERY_MAX) fail(QUERY_MAX, `longer than ${QUERY_MAX}`)
  if (!query.startsWith('$')) fail(0, 'expected $')
  const steps: PathStep[] = []
  let at = 1
  while (at < query.length) {
    SPACE.lastIndex = at
    SPACE.exec(query)
    const found = stepAt(query, SPACE.lastIndex) ?? fail(at, 'expected .name, [index] or ["name"]; other selectors are not singular')
    steps.push(found.step)
    at = found.end
    if (steps.length > STEPS_MAX) fail(at, `more than ${STEPS_MAX} steps`)
  }
  return steps
}

function child(node: JsonNode, step: PathStep): JsonNode | null {
  if (typeof step === 'string') return node.kind === 'object' ? (node.members.get(step) ?? null) : null
  return node.kind === 'array' ? (node.items.at(step) ?? null) : null
}

/** The node a query names, or null when there is none. */
export function selectNode(root: JsonNode, steps: readonly PathStep[]): JsonNode | null {
  let node: JsonNode | null = root
  for (const step of steps) {
    node = child(node, step)
    if (node === null) return null
  }
  return node
}
