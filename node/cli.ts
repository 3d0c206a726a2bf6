/** The `fusion` command. @module */
import { runLine } from '#node/cli/run.ts'

const { code, out, error } = await runLine(process.argv.slice(2), process.env)
process.stdout.write(out)
process.stderr.write(error)
process.exitCode = code
