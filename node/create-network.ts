/** Command that makes genesis document and key files of a new network, for containers and machines of one's own. @module */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { DEVNET_PARAMS } from '#shared/params.ts'
import { loadOrCreateDevnet } from '#node/genesis-tool.ts'
import { openDataDir } from '#node/supervisor/data-dir.ts'

const HELP = `Makes a new network: DATA_DIR/genesis.json and DATA_DIR/validators/N/keys. A folder that has one is left as it is.

usage: node node/create-network.ts --data-dir DIR [--validators 4] [--chain-id ${DEVNET_PARAMS.chainId}]
`
const settingsSchema = z.object({
  'data-dir': z.string().min(1),
  validators: z.coerce.number().int().min(1).max(100),
  'chain-id': z.coerce.number().int().min(1).max(0x7fff_ffff),
})

try {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      validators: { type: 'string', default: '4' },
      'chain-id': { type: 'string', default: String(DEVNET_PARAMS.chainId) },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) process.stdout.write(HELP)
  else {
    const settings = settingsSchema.parse(values)
    const dataDir = resolve(settings['data-dir'])
    openDataDir(dataDir, false)
    const { genesisHash, validators } = loadOrCreateDevnet(dataDir, { chainId: settings['chain-id'] }, settings.validators)
    process.stdout.write(`${JSON.stringify({ dataDir, genesisHash, validators })}\n`)
  }
} catch (cause) {
  process.stderr.write(
    `${cause instanceof z.ZodError ? z.prettifyError(cause) : cause instanceof Error ? cause.message : String(cause)}\n${HELP}`,
  )
  process.exitCode = 2
}
