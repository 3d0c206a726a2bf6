/** One line per finished firing: what happened at each hop, and how long after the hop before. @module */
import { decodeEventLog, formatEther } from 'viem'
import type { Abi, Log } from 'viem'
import type { Fire } from '#shared/api/http-trigger.ts'

const plus = (fromMs: number | null, toMs: number | null): string => {
  if (fromMs === null || toMs === null) return ''
  const ms = toMs - fromMs
  return ms < 1000 ? ` +${ms} ms` : ` +${(ms / 1000).toFixed(1)} s`
}

const showArgument = (name: string, value: unknown): string => {
  if (typeof value === 'bigint' && name.endsWith('Wei')) return `${name}=${formatEther(value)} FSN`
  const text = String(value)
  return `${name}=${text.length > 18 ? `${text.slice(0, 10)}…` : text}`
}

/** The first event of `abi` among the logs, like `Paid(amountWei=1 FSN, rain=41)`; empty when there is none. */
export function describeEvent(logs: readonly Pick<Log, 'address' | 'topics' | 'data'>[], address: string, abi: Abi): string {
  for (const { address: emitter, topics, data } of logs) {
    if (emitter.toLowerCase() !== address || topics.length === 0) continue
    try {
      const event = decodeEventLog({ abi, topics: topics as [`0x${string}`, ...`0x${string}`[]], data })
      const args = Object.entries((event.args ?? {}) as Record<string, unknown>).map(([name, value]) => showArgument(name, value))
      return `${event.eventName}(${args.join(', ')})`
    } catch {
      // A log of another shape: not one of the contract's own events.
      continue
    }
  }
  return ''
}

/** The line of one firing. Hops that this edge did not see are left out. */
export function fireLine(name: string, fire: Fire, event: string): string {
  const { cause } = fire
  const hops = [
    ...(cause === null
      ? []
      : [
          `batch`,
          `bundle ${cause.bundleSequence}${plus(cause.batchAtMs, cause.bundleAtMs)}`,
          ...(cause.includedBlock === null ? [] : [`in block ${cause.includedBlock}${plus(cause.bundleAtMs, cause.includedAtMs)}`]),
        ]),
    `${fire.success ? 'fired' : 'REVERTED'} in block ${fire.blockNumber}${plus(cause?.includedAtMs ?? null, fire.seenAtMs)}`,
    ...(event === '' ? [] : [event]),
    `final${plus(fire.seenAtMs, fire.finalAtMs)}`,
  ]
  return `  ${name.padEnd(14)} ${hops.join(' → ')}`
}
