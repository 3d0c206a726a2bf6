/** Cursors of pages; opaque to clients, checked here. @module */
import { ApiProblem } from '#workers/http/problem.ts'

/** Offset in a cursor that this API gave out; 0 without one. */
export function pageOffset(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  if (!/^\d{1,9}$/.test(cursor))
    throw new ApiProblem('INVALID_REQUEST', 'See errors.', [
      { pointer: 'cursor', code: 'INVALID_FORMAT', detail: 'use the value of `next`' },
    ])
  return Number(cursor)
}
