/** Three kinds of test: on Node, inside the Workers runtime, and end to end with real processes. @module */
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin'
import { defineConfig } from 'vitest/config'

/** Account 10 of the public development mnemonic; worthless everywhere else. */
const DEV_OPERATOR_KEY = '0xf214f2b2cd398c806f84e317254e0f0b801d0643303237d97a22a48e01628897'
/** Account 0 of the same mnemonic: owner of the development source sets. */
const DEV_OWNER = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workers/**', 'test/e2e/**', 'test/container/**', 'node_modules/**'],
          testTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: './wrangler.toml' },
            miniflare: {
              bindings: {
                OPERATOR_KEY: DEV_OPERATOR_KEY,
                RPC_URLS: 'http://validator-0.invalid,http://validator-1.invalid',
                FAUCET: '1000000000000000000',
                FOREIGN_CHAINS: JSON.stringify([
                  { chainId: 31337, rpcUrl: 'http://foreign.invalid', reporterOwner: DEV_OWNER, reporterSet: 'edge-watch' },
                ]),
                DEV_HOSTS: 'source.invalid:80',
                JSON_SOURCES: JSON.stringify(
                  ['good', 'redirect', 'huge', 'private'].map((feed) => ({
                    owner: DEV_OWNER,
                    set: 'edge-http',
                    feed,
                    url: feed === 'private' ? 'http://127.0.0.1:9/' : `http://source.invalid/${feed}`,
                    select: '$.price',
                    decimals: 2,
                  })),
                ),
                TEST_MIGRATIONS: await readD1Migrations('./migrations'),
              },
            },
          })),
        ],
        test: {
          name: 'workers',
          include: ['test/workers/**/*.test.ts'],
          setupFiles: ['./test/workers/setup.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'container',
          include: ['test/container/**/*.test.ts'],
          testTimeout: 240_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
