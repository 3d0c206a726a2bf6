/** Lets timers and sockets of the process run in the middle of long work. @module */

/** Resolves in the next turn of the event loop. */
export const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })
