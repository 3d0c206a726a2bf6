/** What the measuring commands share: numbers from flags, the machine they ran on, and an end with a reason. @module */
import { cpus, loadavg } from 'node:os'

/** A whole number from a flag. @throws {Error} when it is not one, or below `least` */
export function wholeNumber(text: string, name: string, least: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new Error(`--${name} must be a whole number from ${least} up`)
  return value
}

/** What figures depend on besides the code. `loadBefore` tells whether the machine did other work. */
export const machine = () => ({
  node: process.version,
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? '',
  loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
})

/** Runs a command: exit code 0 when it ends, 1 with the reason when it throws. */
export async function run(main: () => Promise<void>): Promise<never> {
  try {
    await main()
    process.exit(0)
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`)
    process.exit(1)
  }
}
