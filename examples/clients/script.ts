/** What the client scripts share: their two options, a line per step, and an end with a reason. @module */
import { parseArgs } from 'node:util'

const DEFAULT_RPC = 'http://127.0.0.1:8545'

/** Reads `--rpc` and `--help`. */
export function readRpcUrl(name: string, help: string): string {
  const { values } = parseArgs({ options: { rpc: { type: 'string', default: DEFAULT_RPC }, help: { type: 'boolean', short: 'h' } } })
  if (values.help === true) {
    process.stdout.write(`${help}\n\n  node examples/clients/${name} [--rpc ${DEFAULT_RPC}]\n`)
    process.exit(0)
  }
  return values.rpc
}

/** Tells that something worked. */
export function step(what: string, result: unknown): void {
  process.stdout.write(`ok  ${what.padEnd(28)} ${String(result)}\n`)
}

/** Tells that something was left out, and why. */
export function skipped(what: string, reason: string): void {
  process.stdout.write(`--  ${what.padEnd(28)} ${reason}\n`)
}

/** Insists that two values are equal. @throws {Error} with both */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what}: expected ${String(expected)}, got ${String(actual)}`)
}

/** Runs a script: exit code 0 when it ends, 1 with the reason when it throws. */
export async function run(script: () => Promise<void>): Promise<never> {
  try {
    await script()
    process.exit(0)
  } catch (cause) {
    process.stderr.write(`!!  ${cause instanceof Error ? cause.message : String(cause)}\n`)
    process.exit(1)
  }
}
