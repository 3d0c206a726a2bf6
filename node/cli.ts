/** The `fusion` command. @module */
import { runLine } from '#node/cli/run.ts'

const { code, out, error } = await runLine(process.argv.slice(2), process.env, (line) => process.stderr.write(`${line}\n`))
process.stdout.write(out)
process.stderr.write(error)
process.exitCode = code
