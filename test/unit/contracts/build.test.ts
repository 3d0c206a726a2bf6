/** What is committed of the contracts is what the sources compile to. @module */
import { compileContracts } from '../../../contracts/build.ts'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'

const folder = path.resolve(import.meta.dirname, '../../../shared/api/abi')

it('every generated module equals a fresh compilation, and there is none besides', () => {
  const compiled = compileContracts()
  expect(readdirSync(folder).toSorted()).toEqual([...compiled.keys()].toSorted())
  const stale = [...compiled].filter(([name, text]) => readFileSync(path.join(folder, name), 'utf8') !== text).map(([name]) => name)
  expect(stale).toEqual([])
}, 60_000)
