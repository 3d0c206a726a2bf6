/** Runs before every file of worker tests: tables exist, and the bindings have their types. @module */
import { applyD1Migrations, type D1Migration } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import type { Env as EdgeEnv } from '#workers/env.ts'

declare global {
  namespace Cloudflare {
    interface Env extends EdgeEnv {
      TEST_MIGRATIONS: D1Migration[]
    }
    interface GlobalProps {
      mainModule: typeof import('#workers/index.ts')
    }
  }
}

await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
