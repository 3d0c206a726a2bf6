/** `npm run bench`: a whole development network, threshold signing alone, or both together. Prints tables and, last, one line of JSON. @module */
import { parseArgs } from 'node:util'
import { attachDevnet, startDevnet } from './devnet.ts'
import { measureKeyLoad } from './keys.ts'
import { measureLatency } from './latency.ts'
import { measureThroughput } from './load.ts'
import { machine, run, wholeNumber } from './script.ts'
import { measureSigning } from './signing.ts'

const HELP = `Measures a running development network: transactions per second, and how long each hop from a report to a final call takes.

usage: npm run bench -- [options]
       npm run bench -- signing [--keys N] [--count N]
       npm run bench -- keys [--seconds N]

  --start          start a new network with the demonstration on free ports, and stop it afterwards
  --count N        transactions of each kind [2000]
  --seconds N      how long latencies are watched [60]; keys: each phase, on a network of its own
  --keys N         signing: keys of each size and scheme [3]; with --count N signatures by each [10]
  --help           this text

Without --start it uses the network of "npm start" (FUSION_PORT_OFFSET shifts its ports). bench/README.md says how to read the figures.
`

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      start: { type: 'boolean', default: false },
      count: { type: 'string' },
      keys: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '60' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) {
    process.stdout.write(HELP)
    return
  }
  const [command, ...rest] = positionals
  if (rest.length > 0 || (command !== undefined && command !== 'signing' && command !== 'keys'))
    throw new Error(`nothing is measured by "${positionals.join(' ')}"`)
  if (command === 'signing') {
    measureSigning(wholeNumber(values.keys, 'keys', 1), wholeNumber(values.count ?? '10', 'count', 1))
    return
  }
  const count = wholeNumber(values.count ?? '2000', 'count', 1)
  const seconds = wholeNumber(values.seconds, 'seconds', 1)
  const before = machine()
  if (command === 'keys') {
    const devnet = await startDevnet({ withDemo: false })
    try {
      console.info(JSON.stringify({ bench: 'keys', ...before, phases: await measureKeyLoad(devnet, seconds) }))
    } finally {
      await devnet.stop()
    }
    return
  }
  const started = values.start ? await startDevnet({ withDemo: true }) : null
  try {
    const network = started ?? (await attachDevnet())
    const latency = await measureLatency(network, seconds)
    console.table(latency)
    const throughput = await measureThroughput(network.rpcUrls, count)
    console.table(throughput)
    console.info(JSON.stringify({ bench: 'network', ...before, latency, throughput }))
  } finally {
    await started?.stop()
  }
}

await run(main)
