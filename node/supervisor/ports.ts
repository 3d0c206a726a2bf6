/** Fixed ports of the development network, shifted together by FUSION_PORT_OFFSET. @module */
import { createServer } from 'node:net'

const PORT_MAX = 65_535

export type DevnetPorts = Readonly<{
  rpc: readonly number[]
  p2p: readonly number[]
  party: readonly number[]
  edge: number
  anvil: number
  jsonSource: number
}>

/** Ports of a devnet of `validatorCount`. @throws {RangeError} when one of them leaves 1024..65535 */
export function devnetPorts(validatorCount: number, offset: number): DevnetPorts {
  const from = (base: number): number => {
    const port = base + offset
    if (!Number.isInteger(port) || port < 1024 || port > PORT_MAX)
      throw new RangeError(`FUSION_PORT_OFFSET ${offset} moves port ${base} out of range`)
    return port
  }
  const indexes = Array.from({ length: validatorCount }, (_, index) => index)
  return {
    rpc: indexes.map((index) => from(8545 + index)),
    p2p: indexes.map((index) => from(9545 + index)),
    party: indexes.map((index) => from(9745 + index)),
    edge: from(8787),
    anvil: from(8645),
    jsonSource: from(8790),
  }
}

/** Whether this port of the loopback address can be bound right now. */
export function portIsFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}

/** The ports that something else holds, with what they are for. */
export async function takenPorts(ports: DevnetPorts): Promise<readonly Readonly<{ port: number; use: string }>[]> {
  const wanted = [
    ...ports.rpc.map((port, index) => ({ port, use: `JSON-RPC of validator ${index}` })),
    ...ports.p2p.map((port, index) => ({ port, use: `peer-to-peer of validator ${index}` })),
    ...ports.party.map((port, index) => ({ port, use: `key relay of validator ${index}` })),
    { port: ports.edge, use: 'edge' },
    { port: ports.anvil, use: 'foreign chain' },
    { port: ports.jsonSource, use: 'demo data source' },
  ]
  const free = await Promise.all(wanted.map(({ port }) => portIsFree(port)))
  return wanted.filter((_, index) => free[index] === false)
}
