/** Asks the local node's `GET /health`; exit code 0 when it follows its peers. The container's health check. @module */
import { readConfig } from '#node/config.ts'

const TIMEOUT_MS = 2_500

async function check(): Promise<number> {
  const config = readConfig([], process.env)
  if (config === 'help') return 1
  try {
    const host = config.rpcHost === '0.0.0.0' ? '127.0.0.1' : config.rpcHost
    const response = await fetch(`http://${host}:${config.rpcPort}/health`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    process.stdout.write(`${await response.text()}\n`)
    return response.ok ? 0 : 1
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`)
    return 1
  }
}

process.exitCode = await check()
