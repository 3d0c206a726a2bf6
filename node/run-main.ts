/** The end of every program: its exit code, or that of the error that ended it. @module */

/** Runs a program to its end and leaves the process. The error's message goes to stderr, its stack nowhere. */
export async function runMain(main: () => Promise<number>, codeOf: (cause: unknown) => number): Promise<never> {
  try {
    process.exit(await main())
  } catch (cause) {
    process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`)
    process.exit(codeOf(cause))
  }
}
