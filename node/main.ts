/** The validator process: settings in, a running node, and a clean end. @module */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runMain } from '#node/run-main.ts'
import { DecodeError } from '#shared/fault.ts'
import { composeNode } from '#node/compose.ts'
import type { NodeConfig } from '#node/config.ts'
import { helpText, readConfig } from '#node/config.ts'
import { lockDataDir } from '#node/data-lock.ts'
import type { Logger } from '#node/log.ts'
import { createLogger } from '#node/log.ts'

const EXIT_BUG = 1
const EXIT_SETTINGS = 2
const EXIT_PORT_TAKEN = 3
/** A stop that takes longer than this is cut short; the store is consistent at every moment. */
const STOP_TIMEOUT_MS = 4_000

/** Code of the transport that peers can reach: what goes astray there may cost a connection, never the process. */
const TRANSPORT = /node_modules\/(?:libp2p|@libp2p|@multiformats|@chainsafe)\//

const stackOf = (cause: unknown): string => (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))

const isPortTaken = (cause: unknown): boolean => {
  const text = cause instanceof Error ? `${(cause as NodeJS.ErrnoException).code ?? ''} ${cause.message}` : ''
  return text.includes('EADDRINUSE')
}

function exitCodeOf(cause: unknown): number {
  if (isPortTaken(cause)) return EXIT_PORT_TAKEN
  return cause instanceof DecodeError ? EXIT_SETTINGS : EXIT_BUG
}

async function serve(config: NodeConfig, log: Logger): Promise<number> {
  let finish: (code: number) => void = () => undefined
  const finished = new Promise<number>((resolve) => {
    finish = resolve
  })
  const onFatal = (cause: unknown): void => {
    log.error('fatal', { cause: stackOf(cause) })
    finish(EXIT_BUG)
  }
  const onStray = (cause: unknown): void => {
    if (TRANSPORT.test(stackOf(cause))) log.error('transport-fault', { cause: stackOf(cause) })
    else onFatal(cause)
  }
  process.on('uncaughtException', onStray)
  process.on('unhandledRejection', onStray)
  const lock = await lockDataDir(config.dataDir)
  if (!lock.isHeld) log.warn('folder-not-locked', { dataDir: config.dataDir })
  const stop = await composeNode(config, log, onFatal)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log.info('stopping', { signal })
      finish(0)
    })
  }
  const code = await finished
  setTimeout(() => process.exit(code), STOP_TIMEOUT_MS).unref()
  await stop()
  await lock.release()
  return code
}

async function main(): Promise<number> {
  const config = readConfig(process.argv.slice(2), process.env)
  if (config === 'help') {
    process.stdout.write(helpText())
    return 0
  }
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const log = createLogger('node', config.logLevel, join(config.dataDir, 'node.log'))
  try {
    const code = await serve(config, log)
    log.info('stopped', { code })
    return code
  } catch (cause) {
    log.error('start-failed', { cause: cause instanceof Error ? cause.message : String(cause) })
    return exitCodeOf(cause)
  }
}

await runMain(main, exitCodeOf)
