/** The running children of one supervisor: started, remembered on disk, told about when they end, stopped together. @module */
import type { Child, ChildCommand } from '#node/supervisor/child.ts'
import { describeExit, startChild } from '#node/supervisor/child.ts'
import { forgetGroups, rememberGroups } from '#node/supervisor/data-dir.ts'

/** Lines of a dead child's output that are shown. */
const LAST_WORDS = 5

export type Crew = Readonly<{
  start: (command: ChildCommand) => Promise<Child>
  /** Runs a command to its end. @throws {Error} with its last lines when it fails */
  runToEnd: (command: ChildCommand) => Promise<void>
  children: () => readonly Child[]
  /** Ends all, in reverse order of start, the last started first; those of one start wave together. */
  stopAll: () => Promise<void>
}>

/** Children of a data folder. `print` gets a line when one ends without being asked to. */
export function createCrew(dataDir: string, print: (line: string) => void): Crew {
  const children: Child[] = []
  let isStopping = false

  const remember = (): void => {
    rememberGroups(
      dataDir,
      process.pid,
      children.filter((child) => child.running()),
    )
  }
  const start = async (command: ChildCommand): Promise<Child> => {
    const child = await startChild(command)
    children.push(child)
    remember()
    return child
  }
  const lastWords = (child: Child): string =>
    child
      .tail()
      .slice(-LAST_WORDS)
      .map((line) => `\n      ${line}`)
      .join('')

  return {
    start: async (command) => {
      const child = await start(command)
      void child.exited.then((exit) => {
        if (isStopping) return
        remember()
        print(`!! ${child.name} ${describeExit(exit)}; the rest goes on. Its log: ${command.logPath}${lastWords(child)}`)
      })
      return child
    },
    runToEnd: async (command) => {
      const child = await start(command)
      const exit = await child.exited
      if (exit.code !== 0) throw new Error(`${command.name} ${describeExit(exit)}${lastWords(child)}`)
    },
    children: () => children,
    stopAll: async () => {
      isStopping = true
      for (const child of children.toReversed()) if (!child.name.startsWith('validator')) await child.stop()
      await Promise.all(children.map((child) => child.stop()))
      forgetGroups(dataDir)
    },
  }
}
