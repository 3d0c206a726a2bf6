#!/usr/bin/env node
/**
 * Runs the command line on the Node that this package brings, whatever Node the shell has.
 * Plain JavaScript, readable by any Node from 18 on.
 * @module
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 24
const cli = new URL('../cli.ts', import.meta.url)

function ownNode() {
  const windows = process.platform === 'win32'
  const name = `node-${windows ? 'win' : process.platform}-${process.arch}`
  const path = windows ? `${name}/bin/node.exe` : `${name}/bin/node`
  return fileURLToPath(new URL(`../../node_modules/${path}`, import.meta.url))
}

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) await import(cli.href)
else if (existsSync(ownNode())) {
  const child = spawn(ownNode(), [fileURLToPath(cli), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]))
} else {
  console.error(`fusion needs Node ${NODE_MAJOR_MIN} or later and found ${process.version}; run "npm ci" in the clone first.`)
  process.exitCode = 1
}
