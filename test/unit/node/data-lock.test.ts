/** A data folder belongs to one process at a time, and to the next after a crash. @module */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { lockDataDir } from '#node/data-lock.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-lock-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('lock of a data folder', () => {
  it('is refused to a second holder and free again after release', async () => {
    const first = await lockDataDir(folder)
    expect(first.isHeld).toBe(true)
    await expect(lockDataDir(folder)).rejects.toThrow(/DATA_DIR_IN_USE/)
    await first.release()
    const second = await lockDataDir(folder)
    await second.release()
  })

  it('is free after its holder was killed', async () => {
    const program = `require('node:net').createServer().listen(${JSON.stringify(join(folder, 'lock'))}, () => console.log('held'))`
    const holder = spawn(process.execPath, ['-e', program])
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    await expect(lockDataDir(folder)).rejects.toThrow(/DATA_DIR_IN_USE/)
    holder.kill('SIGKILL')
    await new Promise((resolve) => holder.once('close', resolve))
    expect(existsSync(join(folder, 'lock'))).toBe(true)
    const next = await lockDataDir(folder)
    expect(next.isHeld).toBe(true)
    await next.release()
  })

  it('says when the path is too long to guard', async () => {
    expect((await lockDataDir(join(folder, 'x'.repeat(120)))).isHeld).toBe(false)
  })
})
