/** Waiting for something outside, with a deadline and a reason to give up early. @module */

export type WaitOptions = Readonly<{
  what: string
  timeoutMs: number
  everyMs?: number
  /** A reason to stop waiting at once, null while there is none. */
  givenUp?: () => string | null
}>

/** Polls until `probe` gives something other than null; a throwing probe counts as not yet. @throws {Error} on deadline or when given up */
export async function waitFor<T>(probe: () => Promise<T | null>, options: WaitOptions): Promise<T> {
  const deadline = Date.now() + options.timeoutMs
  let last = ''
  for (;;) {
    try {
      const value = await probe()
      if (value !== null) return value
    } catch (cause) {
      last = cause instanceof Error ? cause.message : String(cause)
    }
    const reason = options.givenUp?.() ?? null
    if (reason !== null) throw new Error(`${options.what}: ${reason}`)
    if (Date.now() > deadline)
      throw new Error(`${options.what}: not within ${options.timeoutMs / 1000} s${last === '' ? '' : ` (${last})`}`)
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 150))
  }
}

/** JSON of a GET, null when the answer is not 2xx. @throws when nobody answers */
export async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) })
  const body: unknown = await response.json().catch(() => null)
  return response.ok ? body : null
}

/** Result of one JSON-RPC call. @throws when nobody answers or the call fails */
export async function callRpc(url: string, method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(5_000),
  })
  const answer = (await response.json()) as { result?: unknown; error?: { message?: string } }
  if (answer.error !== undefined) throw new Error(answer.error.message ?? 'the call failed')
  return answer.result
}
