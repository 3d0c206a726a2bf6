/** The write-ahead file and its disk: one that takes only a part of a record, and one that keeps nothing until it is told to. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import type * as Fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { openWal } from '#node/wal.ts'

const disk = vi.hoisted(() => ({ isFull: false, calls: [] as string[] }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>()
  return {
    ...fs,
    writeSync: (file: number, line: Buffer) => {
      disk.calls.push('write')
      return fs.writeSync(file, disk.isFull ? line.subarray(0, 9) : line)
    },
    fsyncSync: (file: number) => {
      disk.calls.push('sync')
      fs.fsyncSync(file)
    },
  }
})
const folder = mkdtempSync(join(tmpdir(), 'fusion-wal-short-'))
afterAll(() => rmSync(folder, { recursive: true }))

it('has told the disk to keep a record when append returns', () => {
  const wal = openWal(join(folder, 'synced'))
  for (let slot = 1; slot < 4; slot++) {
    disk.calls = []
    wal.append({ kind: 'block', slot, hash: `0x${'07'.repeat(32)}` })
    expect(disk.calls).toEqual(['write', 'sync'])
  }
  wal.close()
})

it('throws when a record is not written whole, and gives back the whole ones', () => {
  const path = join(folder, 'wal')
  const record = { kind: 'block', slot: 7, hash: `0x${'07'.repeat(32)}` } as const
  const wal = openWal(path)
  wal.append(record)
  disk.isFull = true
  expect(() => wal.append({ ...record, slot: 8 })).toThrow('a part of a write-ahead record')
  wal.close()
  disk.isFull = false
  expect(openWal(path)).toMatchObject({ condition: 'intact', records: [record] })
})
