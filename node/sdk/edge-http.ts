/**
 * Requests to an edge: JSON in and out, checked answers, problems as errors, repeats that are safe. No host but `fetch`, so it runs in
 * browsers, workers and Node alike. Source: RFC 9110, RFC 9457 (problems), RFC 6585 (429).
 * @module
 */
import * as z from 'zod'
import type { Problem } from '#shared/api/http.ts'
import { zProblem } from '#shared/api/http.ts'

/** The part of `fetch` the client uses. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Where and how to ask. */
export type EdgeOptions = Readonly<{
  edgeUrl: string
  fetch?: Fetch
  /** Longest wait for one answer. */
  timeoutMs?: number
  /** Tries in all; the pause between them doubles from `pauseMs` and obeys `Retry-After`. */
  attempts?: number
  pauseMs?: number
}>

/** An answer of the edge that says no. `code` is stable. */
export class EdgeProblem extends Error {
  override readonly name = 'EdgeProblem'
  readonly status: number
  readonly code: string
  readonly problem: Problem | null

  constructor(status: number, problem: Problem | null, text: string) {
    const details = problem?.errors?.map(({ pointer, code, detail }) => `${pointer === '' ? '' : `${pointer}: `}${detail} (${code})`) ?? []
    const summary =
      problem === null
        ? `the edge answered ${status}: ${text.slice(0, 200)}`
        : `${problem.title}${problem.detail === undefined ? '' : `: ${problem.detail}`}`
    super([summary, ...details].join('\n  '))
    this.status = status
    this.code = problem?.code ?? `HTTP_${status}`
    this.problem = problem
  }
}

/** The edge did not answer, or its answer is not what the API promises. */
export class EdgeUnreachable extends Error {
  override readonly name = 'EdgeUnreachable'
  readonly code: 'EDGE_UNREACHABLE' | 'EDGE_ANSWER_INVALID'

  constructor(code: EdgeUnreachable['code'], message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

const TIMEOUT_MS = 10_000
const ATTEMPTS = 3
const PAUSE_MS = 250
const PAUSE_MS_MAX = 5_000

/** Waits; rejects at once when the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
  })
}

function parseProblem(text: string): Problem | null {
  try {
    return zProblem.parse(JSON.parse(text))
  } catch {
    return null
  }
}

const mayRepeat = (status: number): boolean => status === 429 || status >= 500

/** Ways to ask one edge. */
export class EdgeHttp {
  readonly edgeUrl: string
  readonly #fetch: Fetch
  readonly #timeoutMs: number
  readonly #attempts: number
  readonly #pauseMs: number

  constructor({ edgeUrl, fetch: fetchGiven, timeoutMs = TIMEOUT_MS, attempts = ATTEMPTS, pauseMs = PAUSE_MS }: EdgeOptions) {
    this.edgeUrl = edgeUrl.replace(/\/+$/, '')
    this.#fetch = fetchGiven ?? ((url, init) => fetch(url, init))
    this.#timeoutMs = timeoutMs
    this.#attempts = attempts
    this.#pauseMs = pauseMs
  }

  /** One GET; `query` values that are undefined are left out. */
  get<T extends z.ZodType>(
    schema: T,
    path: string,
    query: Readonly<Record<string, string | number | undefined>> = {},
  ): Promise<z.output<T>> {
    const given = Object.entries(query).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]]))
    const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
    return this.#ask(schema, `${path}${search}`, { method: 'GET' })
  }

  /** One POST or PATCH under an idempotency key, so that repeating it after a lost answer is harmless. */
  send<T extends z.ZodType>(
    schema: T,
    method: 'POST' | 'PATCH',
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<z.output<T>> {
    return this.#ask(schema, path, {
      method,
      headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID(), ...headers },
      body: JSON.stringify(body),
    })
  }

  /** A response whose body is read by the caller. */
  async open(path: string, init: RequestInit): Promise<Response> {
    const response = await this.#fetch(`${this.edgeUrl}${path}`, init)
    if (!response.ok) {
      const text = await response.text()
      throw new EdgeProblem(response.status, parseProblem(text), text)
    }
    return response
  }

  async #ask<T extends z.ZodType>(schema: T, path: string, init: RequestInit): Promise<z.output<T>> {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= this.#attempts
      const wait = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2 ** (attempt - 1))
      try {
        const response = await this.#fetch(`${this.edgeUrl}${path}`, { ...init, signal: AbortSignal.timeout(this.#timeoutMs) })
        const text = await response.text()
        if (response.ok) return this.#checked(schema, path, text)
        if (isLast || !mayRepeat(response.status)) throw new EdgeProblem(response.status, parseProblem(text), text)
        const asked = Number(response.headers.get('retry-after') ?? '0') * 1000
        await pause(Math.min(PAUSE_MS_MAX, Math.max(wait, Number.isFinite(asked) ? asked : 0)))
      } catch (error) {
        if (error instanceof EdgeProblem || error instanceof EdgeUnreachable) throw error
        if (isLast) throw new EdgeUnreachable('EDGE_UNREACHABLE', `no answer from ${this.edgeUrl} (${String(error)})`, error)
        await pause(wait)
      }
    }
  }

  #checked<T extends z.ZodType>(schema: T, path: string, text: string): z.output<T> {
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch (error) {
      throw new EdgeUnreachable('EDGE_ANSWER_INVALID', `${path} did not answer JSON`, error)
    }
    const parsed = schema.safeParse(json)
    if (parsed.success) return parsed.data
    throw new EdgeUnreachable('EDGE_ANSWER_INVALID', `${path} answered something else than promised: ${z.prettifyError(parsed.error)}`)
  }
}
