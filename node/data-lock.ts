/** One process per data folder: two on one key would contradict each other. The lock is a listening socket, so that a crash frees it. @module */
import { unlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { DecodeError } from '#shared/fault.ts'

/** Longest path of a local socket that every platform takes. */
const SOCKET_PATH_MAX = 100

export type DataLock = Readonly<{
  /** False where the path is too long for a socket: then nothing guards the folder. */
  isHeld: boolean
  release: () => Promise<void>
}>

const answers = (path: string): Promise<boolean> =>
  new Promise((done) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      done(true)
    })
    socket.once('error', () => done(false))
  })

/** Takes the folder. @throws {DecodeError} DATA_DIR_IN_USE while another process has it */
export async function lockDataDir(dataDir: string): Promise<DataLock> {
  const absolute = join(resolve(dataDir), 'lock')
  const path = [relative('', absolute), absolute].toSorted((left, right) => left.length - right.length)[0] ?? absolute
  if (path.length > SOCKET_PATH_MAX || process.platform === 'win32') return { isHeld: false, release: () => Promise.resolve() }
  if (await answers(path))
    throw new DecodeError('DATA_DIR_IN_USE', dataDir, 'another node works in this folder; two on one key contradict each other')
  try {
    unlinkSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
  }
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen(path, done)
  })
  server.unref()
  return { isHeld: true, release: () => new Promise((done) => server.close(() => done())) }
}
