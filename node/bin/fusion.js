#!/usr/bin/env node
// Runs the CLI on the Node that this package brings, whatever Node the shell has.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])
const cli = new URL('../cli.ts', import.meta.url)
if (major >= 24) await import(cli.href)
else {
  const os = process.platform === 'win32' ? 'win' : process.platform
  const executable = process.platform === 'win32' ? 'node.exe' : 'node'
  const own = fileURLToPath(new URL(`../../node_modules/node-${os}-${process.arch}/bin/${executable}`, import.meta.url))
  if (!existsSync(own)) {
    console.error(`fusion needs Node 24 or later and found ${process.version}; run "npm ci" in the clone first.`)
    process.exit(1)
  }
  const child = spawn(own, [fileURLToPath(cli), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  // A signal this process handles cannot be raised at itself again: 128 + its number says the same.
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]))
}
