/** The `fusion` command. @module */
import { runLine } from '#node/cli/run.ts'

if (process.argv[2] === 'party') {
  // A party is no command that ends: it is a program of its own with its own options.
  process.argv.splice(2, 1)
  await import('#node/party/main.ts')
}
const { code, out, error } = await runLine(process.argv.slice(2), process.env, (line) => process.stderr.write(`${line}\n`))
process.stdout.write(out)
process.stderr.write(error)
process.exitCode = code
