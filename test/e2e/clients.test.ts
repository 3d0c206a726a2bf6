/** The example scripts of three Ethereum tools against four real validators whose blocks hold both native transaction types. @module */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PROJECT_DIR } from '#node/supervisor/parts.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { Cluster } from './cluster.ts'
import { reportRound } from './reporter.ts'

const ROUND_MS = 1500

let cluster: Cluster
let stopReports = (): void => undefined

type Ended = Readonly<{ code: number; output: string }>

function run(command: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, [...args], { cwd: PROJECT_DIR, timeout: 150_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, output: stdout + stderr }),
    )
  })
}
const script = (name: string, ...args: readonly string[]): Promise<Ended> => {
  const path = join(PROJECT_DIR, 'examples/clients', name)
  return name.endsWith('.sh') ? run('bash', [path, ...args]) : run(process.execPath, [path, ...args])
}

beforeAll(async () => {
  cluster = await Cluster.start()
  await cluster.reach(0, 'finalized', 1)
  const hash = await reportRound(cluster.url(0), 1000n)
  await waitFor(async () => callRpc(cluster.url(0), 'eth_getTransactionReceipt', [hash]), { what: 'a first report', timeoutMs: 30_000 })
  let value = 1000n
  // A round may close while the machine is busy: the next one reports.
  const timer = setInterval(() => void reportRound(cluster.url(0), (value += 10n)).catch(() => undefined), ROUND_MS)
  stopReports = () => clearInterval(timer)
}, 120_000)
afterAll(async () => {
  stopReports()
  await cluster.stop()
})

describe('client examples', () => {
  // viem first: the trigger it registers goes on beating while the others read.
  for (const [index, name] of ['viem.ts', 'ethers.ts', 'cast.sh'].entries())
    it(`${name} does everything against a validator, native types included`, async () => {
      const { code, output } = await script(name, '--rpc', cluster.url(index + 1))
      expect(output).not.toContain('!!')
      expect(code, output).toBe(0)
      for (const line of ['transfer', 'TestToken', 'PriceAlarm', 'block with type 0x46', 'block with type 0x47'])
        expect(output).toMatch(new RegExp(`^ok .*${line}`, 'm'))
    })

  it('end with a failure and a reason when nobody answers', async () => {
    for (const name of ['viem.ts', 'ethers.ts', 'cast.sh']) {
      const { code, output } = await script(name, '--rpc', 'http://127.0.0.1:9')
      expect(code, name).toBe(1)
      expect(output).toContain('!!')
    }
  })

  it('explain themselves', async () => {
    for (const name of ['viem.ts', 'ethers.ts', 'cast.sh']) expect(await script(name, '--help')).toMatchObject({ code: 0 })
    expect((await script('viem.ts', '--help')).output).toContain('--rpc')
  })

  it('read one block that holds both types', async () => {
    const found = await waitFor(
      async () => {
        const head = Number(await callRpc(cluster.url(0), 'eth_blockNumber'))
        for (let number = head; number > Math.max(0, head - 60); number--) {
          const block = (await callRpc(cluster.url(0), 'eth_getBlockByNumber', [`0x${number.toString(16)}`, true])) as {
            transactions: { type: string }[]
          }
          const types = block.transactions.map(({ type }) => type)
          if (types.includes('0x46') && types.includes('0x47')) return types
        }
        return null
      },
      { what: 'a block with both types', timeoutMs: 60_000, everyMs: 1000 },
    )
    expect(found.indexOf('0x46')).toBeLessThan(found.indexOf('0x47'))
  })
})
