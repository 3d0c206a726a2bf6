/** The edge's cron, which fires by itself only in production: the supervisor asks for it each minute. @module */

const EVERY_MS = 60_000

/** Starts ticking the worker at `edgeUrl`; the returned function ends it. A missed tick is made up by the next. */
export function startCron(edgeUrl: string): () => void {
  const tick = (): void => {
    const url = `${edgeUrl}/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${Date.now()}&format=json`
    fetch(url, { signal: AbortSignal.timeout(30_000) })
      .then((response) => response.body?.cancel())
      .catch(() => undefined)
  }
  const timer = setInterval(tick, EVERY_MS)
  tick()
  return () => clearInterval(timer)
}
