/** The two exceptions of the project: malformed input at a boundary, and our own bug. Peer misbehaviour is data, never one of these. @module */

/** Input from outside that does not have the promised form. Caught by the shell that read it, nowhere else. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
  readonly code: string
  readonly path: string

  /**
   * @param code stable SCREAMING_CODE, part of the API
   * @param path where in the input, like `header.number` or `/mode/when`
   * @param message what was expected and what came; never raw peer bytes
   */
  constructor(code: string, path: string, message: string) {
    super(`${code} at ${path === '' ? 'root' : path}: ${message}`)
    this.code = code
    this.path = path
  }
}

/** A broken invariant: a bug of ours, never caused by input. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** A value that is there unless we have a bug. `why` says why it must be. @throws {InvariantError} when it is missing */
export function known<T>(value: T | null | undefined, why: string): T {
  invariant(value !== null && value !== undefined, why)
  return value
}

/** Throws unless `condition` holds. `why` says why it must hold. */
export function invariant(condition: boolean, why: string): asserts condition {
  if (!condition) throw new InvariantError(why)
}
