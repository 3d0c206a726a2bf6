/** Where drizzle-kit finds the schema and writes the migrations that wrangler applies. @module */
import { defineConfig } from 'drizzle-kit'

export default defineConfig({ dialect: 'sqlite', schema: './workers/db/schema.ts', out: './migrations' })
