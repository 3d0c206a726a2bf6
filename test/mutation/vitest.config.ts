/** The tests that one part of the key protocols is measured with: `FUSION_MUTATION_TESTS` lists names below test/. @module */
import { defineConfig } from 'vitest/config'

const names = (process.env['FUSION_MUTATION_TESTS'] ?? '').split(',').filter((name) => name !== '')

export default defineConfig({ test: { include: names.map((name) => `test/${name}.test.ts`), testTimeout: 30_000 } })
