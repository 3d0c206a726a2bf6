/** The kind of application every part of the API is, and what all its routes share. @module */
import { OpenAPIHono } from '@hono/zod-openapi'
import type * as z from 'zod'
import { zProblem } from '#shared/api/http.ts'
import type { Env } from '#workers/env.ts'
import { zodProblem } from '#workers/http/problem.ts'

/** Types of bindings and variables of a request. */
export type AppEnv = { Bindings: Env }

/** An empty sub-application that turns failed validation into a problem. */
export const subApp = (): OpenAPIHono<AppEnv> =>
  new OpenAPIHono<AppEnv>({
    defaultHook: (result) => {
      if (!result.success) throw zodProblem(result.error)
    },
  })

/** A JSON answer in an OpenAPI route. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({ description, content: { 'application/json': { schema } } })
/** A required JSON body in an OpenAPI route. */
export const body = <T extends z.ZodType>(schema: T) => ({ required: true as const, content: { 'application/json': { schema } } })
/** The answer that every route may give instead. */
export const problems = { default: { description: 'Refused', content: { 'application/problem+json': { schema: zProblem } } } } as const
