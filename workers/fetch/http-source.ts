/** One fetch of a registered source: only where it may go, only as much as it may bring. @module */
import { BoundedBytes } from '#shared/bounded-bytes.ts'
import type { FetchResult, JsonSource } from '#shared/oracle/fetch-plan.ts'
import { type UrlAllowance, urlFault } from '#shared/oracle/url-guard.ts'

const TIMEOUT_MS = 5000
const BODY_BYTES_MAX = 262_144

/** Text of a body of at most the limit; null when it is longer. @throws {TypeError} when it is not UTF-8 */
async function boundedText(response: Response): Promise<string | null> {
  const body = new BoundedBytes(BODY_BYTES_MAX)
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) if (!body.take(part)) return null
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body.whole())
}

/** Fetches one source. Never throws: a failure is a stable code. */
export async function fetchSource(source: JsonSource, allowance: UrlAllowance): Promise<FetchResult> {
  const url = URL.parse(source.url)
  if (url === null) return { source, failure: 'URL_INVALID' }
  const fault = urlFault(url, allowance)
  if (fault !== null) return { source, failure: fault }
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', 'user-agent': 'fusion-edge/1' },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      return { source, failure: response.status >= 300 && response.status < 400 ? 'REDIRECT' : 'HTTP_STATUS' }
    }
    const body = await boundedText(response)
    return body === null ? { source, failure: 'BODY_TOO_LARGE' } : { source, body }
  } catch (error) {
    return { source, failure: error instanceof Error && error.name === 'TimeoutError' ? 'TIMEOUT' : 'UNREACHABLE' }
  }
}
