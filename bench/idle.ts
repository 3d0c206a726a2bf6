/** What a network costs that has nothing to do: CPU of all its processes once it is quiet. Prints a table and, last, one line of JSON. @module */
import { parseArgs } from 'node:util'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import type { RunningDevnet } from './devnet.ts'
import { startDevnet } from './devnet.ts'
import { treeTimes } from './process-tree.ts'
import { machine, run, wholeNumber } from './script.ts'

const HELP = `Starts a network without demonstration on free ports, waits until it is quiet, and measures the CPU of all its processes.

usage: node bench/idle.ts [options]

  --seconds N         how long CPU is counted [60]
  --after-seconds N   how long the quiet network is left alone before [30]
  --help              this text
`
const QUIET_TIMEOUT_MS = 180_000
const QUIET_POLL_MS = 3000

const pause = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

type Points = Readonly<Record<'head' | 'finalized', Readonly<{ number: number; slot: number }>>>

/** Waits until two looks in a row show the same head. */
async function untilQuiet({ rpcUrls }: RunningDevnet): Promise<void> {
  let last = -1
  await waitFor(
    async () => {
      const { head } = (await callRpc(rpcUrls[0] ?? '', 'fusion_finality')) as Points
      const isStill = head.number === last
      last = head.number
      return isStill ? true : null
    },
    { what: 'a quiet network', timeoutMs: QUIET_TIMEOUT_MS, everyMs: QUIET_POLL_MS },
  )
}

async function measure(devnet: RunningDevnet, seconds: number) {
  const head = async (): Promise<number> => Number(await callRpc(devnet.rpcUrls[0] ?? '', 'eth_blockNumber'))
  const blockBefore = await head()
  const before = treeTimes(devnet.ready.supervisorPid)
  const startedMs = performance.now()
  await pause(seconds)
  const after = treeTimes(devnet.ready.supervisorPid)
  const elapsed = (performance.now() - startedMs) / 1000
  const rows = [...after].map(([pid, { name, cpuSeconds }]) => {
    const used = cpuSeconds - (before.get(pid)?.cpuSeconds ?? 0)
    return { process: name, cpuSeconds: Math.round(used * 100) / 100, cores: Math.round((used / elapsed) * 10_000) / 10_000 }
  })
  const cores = Math.round((rows.reduce((total, row) => total + row.cpuSeconds, 0) / elapsed) * 10_000) / 10_000
  return { rows, cores, blocks: (await head()) - blockBefore }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      'after-seconds': { type: 'string', default: '30' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) {
    process.stdout.write(HELP)
    return
  }
  const seconds = wholeNumber(values.seconds, 'seconds', 1)
  const afterSeconds = wholeNumber(values['after-seconds'], 'after-seconds', 0)
  const before = machine()
  const devnet = await startDevnet({ withDemo: false })
  try {
    await untilQuiet(devnet)
    await pause(afterSeconds)
    const { rows, cores, blocks } = await measure(devnet, seconds)
    console.table(rows)
    console.info(`${cores} cores over ${seconds} s, ${blocks} blocks`)
    console.info(
      JSON.stringify({
        bench: 'idle',
        ...before,
        seconds,
        afterSeconds,
        cores,
        blocks,
        rows,
      }),
    )
  } finally {
    await devnet.stop()
  }
}

await run(main)
