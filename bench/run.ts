/** `npm run bench`: throughput and latency of a whole development network. Prints tables and, last, one line of JSON. @module */
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { attachDevnet, startDevnet } from './devnet.ts'
import { measureLatency } from './latency.ts'
import { measureThroughput } from './load.ts'

const HELP = `Measures a running development network: transactions per second, and how long each hop from a report to a final call takes.

usage: npm run bench -- [options]

  --start          start a new network with the demonstration on free ports, and stop it afterwards
  --count N        transactions of each kind [2000]
  --seconds N      how long latencies are watched [60]
  --help           this text

Without --start it uses the network of "npm start" (FUSION_PORT_OFFSET shifts its ports). bench/README.md says how to read the figures.
`

const positive = (text: string, name: string): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a whole number above 0`)
  return value
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      start: { type: 'boolean', default: false },
      count: { type: 'string', default: '2000' },
      seconds: { type: 'string', default: '60' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) {
    process.stdout.write(HELP)
    return
  }
  const count = positive(values.count, 'count')
  const seconds = positive(values.seconds, 'seconds')
  const machine = {
    node: process.version,
    cpus: cpus().length,
    cpu: cpus()[0]?.model ?? '',
    loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  }
  const started = values.start ? await startDevnet({ withDemo: true }) : null
  try {
    const network = started ?? (await attachDevnet())
    const latency = await measureLatency(network, seconds)
    console.table(latency)
    const throughput = await measureThroughput(network.rpcUrls, count)
    console.table(throughput)
    console.info(JSON.stringify({ bench: 'network', ...machine, latency, throughput }))
  } finally {
    await started?.stop()
  }
}

try {
  await main()
  process.exit(0)
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`)
  process.exit(1)
}
