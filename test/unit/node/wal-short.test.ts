/** The write-ahead file on a disk that takes only a part of a record. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import type * as Fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { openWal } from '#node/wal.ts'

const disk = vi.hoisted(() => ({ isFull: false }))
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>()
  return { ...fs, writeSync: (file: number, line: Buffer) => fs.writeSync(file, disk.isFull ? line.subarray(0, 9) : line) }
})
const folder = mkdtempSync(join(tmpdir(), 'fusion-wal-short-'))
afterAll(() => rmSync(folder, { recursive: true }))

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
