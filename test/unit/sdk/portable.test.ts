/** The SDK runs wherever `fetch` is: nothing it imports, however far away, is a module of Node. @module */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')

/** Every file of the project and every package reachable from a file. */
function reachable(entry: string): ReadonlySet<string> {
  const seen = new Set<string>()
  const waiting = [entry]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    if (!name.endsWith('.ts')) continue
    const text = readFileSync(path.join(root, name), 'utf8')
    for (const [, target = ''] of text.matchAll(/^(?:import|export)(?! type)[^'\n]*(?:\n[^'\n]*)*? from '([^']+)'/gm))
      waiting.push(target.startsWith('#') ? target.slice(1) : target)
  }
  return seen
}

it('the SDK imports shared code, itself, and packages that run in browsers', () => {
  const names = [...reachable('node/sdk/index.ts')]
  expect(names.filter((name) => name.endsWith('.ts') && !existsSync(path.join(root, name)))).toEqual([])
  const foreign = names.filter((name) => !/^(?:shared|node\/sdk)\//.test(name) && !/^(?:viem|zod|@noble\/)/.test(name))
  expect(foreign).toEqual([])
  expect(names).toContain('shared/trigger/intents.ts')
})
