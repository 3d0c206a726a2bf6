/**
 * A data source like any web API: recorded monthly S&P 500 values as JSON, one step at a time, with a control to make it move.
 * An edge polls it as a registered source. Data: vega-datasets (sp500.csv).
 * @module
 */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { parseArgs } from 'node:util'
import { pointAt, readSeries } from '../recording.ts'
import type { Point } from '../recording.ts'

const HELP = `Serves recorded S&P 500 values as JSON.

  node examples/json-source/server.ts [--port 8790] [--host 127.0.0.1] [--step-ms 3000]

  GET  /price        {"symbol":"SP500","date":"Jan 1 2000","price":1394.46}
  POST /control      {"price":900.5} holds this price; {"step":10} moves on; {"release":true} goes on by itself

  --step-ms 0 stands still until /control moves it.
`
const BODY_BYTES_MAX = 1024

type Control = Readonly<{ price?: unknown; step?: unknown; release?: unknown }>

/** Position in the recording; a held price stands in for it. */
class Source {
  readonly #series: readonly Point[]
  #step = 0
  #held: string | null = null

  constructor(series: readonly Point[]) {
    this.#series = series
  }

  advance(count: number): void {
    this.#step += count
  }

  /** Numbers are sent as their recorded text, digits and all. */
  json(): string {
    const { date, value } = pointAt(this.#series, this.#step)
    return `{"symbol":"SP500","date":${JSON.stringify(date)},"price":${this.#held ?? value}}`
  }

  control({ price, step, release }: Control): boolean {
    if (typeof price === 'number' && Number.isFinite(price) && Math.abs(price) < 1e12) this.#held = String(price)
    else if (typeof step === 'number' && Number.isSafeInteger(step) && step >= 0) this.advance(step)
    else if (release === true) this.#held = null
    else return false
    return true
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(text)
}

function takeControl(source: Source, body: string, response: ServerResponse): void {
  let control: Control | null
  try {
    control = JSON.parse(body) as Control | null
  } catch {
    control = null
  }
  const isTaken = control !== null && source.control(control)
  answer(
    response,
    isTaken ? 200 : 400,
    isTaken ? source.json() : '{"error":"expected {\\"price\\":number}, {\\"step\\":number} or {\\"release\\":true}"}',
  )
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8790' },
    host: { type: 'string', default: '127.0.0.1' },
    'step-ms': { type: 'string', default: '3000' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help === true) {
  process.stdout.write(HELP)
  process.exit(0)
}

const source = new Source(readSeries('sp500'))
const stepMs = Number(values['step-ms'])
const timer = stepMs > 0 ? setInterval(() => source.advance(1), stepMs) : null

const server = createServer((request, response) => {
  const { method, url } = request
  if (method === 'GET' && (url === '/price' || url === '/')) return answer(response, 200, source.json())
  if (method !== 'POST' || url !== '/control') return answer(response, 404, '{"error":"GET /price or POST /control"}')
  let body = ''
  request.on('data', (chunk: Buffer) => {
    body += chunk.toString()
    if (body.length > BODY_BYTES_MAX) request.destroy()
  })
  request.on('end', () => takeControl(source, body, response))
})
server.on('error', (error) => {
  process.stderr.write(`json-source: ${error.message}\n`)
  process.exit(1)
})
server.listen(Number(values.port), values.host, () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : values.port
  process.stdout.write(`json-source: http://${values.host}:${port}/price\n`)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (timer !== null) clearInterval(timer)
    server.closeAllConnections()
    server.close(() => process.exit(0))
  })
