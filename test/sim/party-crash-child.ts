/**
 * A signer that is killed: makes use of presignatures in an endless loop over random tuples and reports each partial it would send, one line of JSON
 * each, until the write whose number it was given; there it kills itself, before or after that write. @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { Custody } from '#node/party/custody.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import type { Vault } from '#node/party/vault.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { decodePresignature } from '#shared/dcrm/presignature.ts'
import { createPrng } from '#test/sim/prng.ts'

type Job = Readonly<{ seed: number; encodedKey: `0x${string}`; presignatures: readonly `0x${string}`[]; killAt: number; isAfter: boolean }>

const [folder = '', job = ''] = process.argv.slice(2)
const { seed, encodedKey, presignatures: stock, killAt, isAfter } = JSON.parse(readFileSync(job, 'utf8')) as Job
const die = (): never => {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('unreachable')
}
const real = openVault(join(folder, 'presignatures'), 'a passphrase of a test', 12)
let writes = 0
const vault: Vault = {
  ...real,
  write: (batch) => {
    writes++
    if (writes === killAt && !isAfter) die()
    real.write(batch)
    if (writes === killAt) die()
  },
}
const backend = createNativeBackend()
const store = new Presignatures(vault, new Custody(vault), backend, Date.now)
const rng = createPrng(seed)
const decoded = stock.flatMap((text) => decodePresignature(hexToBytes(text)) ?? [])
store.add(decoded.filter(({ psid }) => real.get(`used/${bytesToHex(psid)}`) === null && real.get(`fresh/${bytesToHex(psid)}`) === null))
for (let turn = 0; turn < 8; turn++) {
  const presignature = decoded[rng.below(decoded.length)]
  if (presignature === undefined) break
  const digest = new Uint8Array(32).fill(1 + rng.below(3))
  const use = store.use(presignature.psid, hexToBytes(encodedKey), { digest, tweak: 5n, entropy: new Uint8Array(32).fill(9) })
  if (typeof use === 'string') continue
  const line = {
    psid: bytesToHex(presignature.psid),
    digest: bytesToHex(digest),
    partial: bytesToHex(use.partial),
    r: use.context.r.toString(16),
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
await real.close()
