/** The write-ahead file after crashes, damage and long use. @module */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { initialiseWal, openWal } from '#node/wal.ts'
import type { WriteAheadRecord } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-wal-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
const fresh = (): string => join(folder, `wal-${files++}`)
const hashOf = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const block = (slot: number): WriteAheadRecord => ({ kind: 'block', slot, hash: hashOf(slot) })
const quiet = (until: number): WriteAheadRecord => ({ kind: 'quiet', until })
const vote = (slot: number): WriteAheadRecord => ({
  kind: 'vote',
  source: { slot: slot - 1, blockHash: hashOf(slot - 1) },
  target: { slot, blockHash: hashOf(slot) },
})

const write = (path: string, records: readonly WriteAheadRecord[]): void => {
  const wal = openWal(path)
  for (const record of records) wal.append(record)
  wal.close()
}

describe('write-ahead file', () => {
  it('gives back every record in order after reopening', () => {
    const path = fresh()
    const records: WriteAheadRecord[] = [
      { kind: 'package', slot: 3, lane: 1, hash: hashOf(7) },
      { kind: 'coSignature', slot: 3, lane: 0, hash: hashOf(8) },
      block(3),
      vote(3),
    ]
    expect(openWal(path).condition).toBe('missing')
    write(path, records)
    const again = openWal(path)
    expect(again.condition).toBe('intact')
    expect(again.records).toEqual(records)
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('is on disk when append returns', () => {
    const path = fresh()
    const wal = openWal(path)
    wal.append(block(9))
    expect(readFileSync(path, 'utf8')).toContain('"slot":9')
    wal.close()
  })

  it('keeps exactly the whole records wherever a crash cuts the file', () => {
    const path = fresh()
    const records = Array.from({ length: 6 }, (_, index) => block(index + 1))
    write(path, records)
    const bytes = readFileSync(path)
    const ends = [...bytes.entries()].filter(([, byte]) => byte === 10).map(([index]) => index + 1)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length }), (cut) => {
        writeFileSync(path, bytes)
        truncateSync(path, cut)
        const reopened = openWal(path)
        const whole = ends.filter((end) => end <= cut).length
        // Without a single record nobody knows whether the key has signed.
        expect(reopened.condition).toBe(whole === 0 ? 'missing' : 'intact')
        expect(reopened.records).toEqual(records.slice(0, whole))
        reopened.append(block(99))
        reopened.close()
        expect(openWal(path).records).toEqual([...records.slice(0, whole), block(99)])
      }),
      { numRuns: 100, examples: [[0], [(ends[2] ?? 0) - 1], [ends[2] ?? 0]] },
    )
  })

  it('says damaged when a record in the middle is wrong, and keeps the others', () => {
    const path = fresh()
    write(path, [block(1), block(2), block(3)])
    const lines = readFileSync(path, 'utf8').split('\n')
    lines[1] = (lines[1] ?? '').replace('"slot":2', '"slot":4')
    writeFileSync(path, lines.join('\n'))
    const damaged = openWal(path)
    expect(damaged.condition).toBe('damaged')
    expect(damaged.records).toEqual([block(1), block(3)])
  })

  it('cuts a last record that is garbage with a good length', () => {
    const path = fresh()
    write(path, [block(1)])
    appendFileSync(path, `${'\0'.repeat(80)}\n`)
    const reopened = openWal(path)
    expect(reopened.condition).toBe('intact')
    expect(reopened.records).toEqual([block(1)])
    reopened.close()
    expect(readFileSync(path).includes(0)).toBe(false)
  })

  it('says damaged when the last record has rotted, or more than the last is wrong', () => {
    const path = fresh()
    write(path, [block(1), block(2), block(3)])
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace('"slot":3', '"slot":4'))
    expect(openWal(path).condition).toBe('damaged')
    const zeros = `${'\0'.repeat(80)}\n`
    writeFileSync(path, text + zeros + zeros)
    expect(openWal(path).condition).toBe('damaged')
  })

  it('stays missing or damaged through any number of starts until the silence is on disk', () => {
    const gone = fresh()
    for (let start = 0; start < 3; start++) {
      const wal = openWal(gone)
      expect(wal.condition).toBe('missing')
      wal.close()
    }
    write(gone, [quiet(70)])
    expect(openWal(gone)).toMatchObject({ condition: 'intact', records: [quiet(70)] })

    const rotten = fresh()
    write(rotten, [block(1), block(2), block(3)])
    // Bytes that are no UTF-8, and an end cut in the middle of a record.
    const bytes = readFileSync(rotten)
    bytes.fill(0xff, 20, 30)
    writeFileSync(rotten, bytes.subarray(0, bytes.length - 5))
    for (let start = 0; start < 3; start++) {
      const wal = openWal(rotten)
      expect(wal.condition).toBe('damaged')
      expect(wal.records).toEqual([block(2)])
      wal.close()
    }
    write(rotten, [quiet(80), block(81)])
    expect(openWal(rotten)).toMatchObject({ condition: 'intact', records: [block(2), quiet(80), block(81)] })
  })

  it('starts intact for a key that was just made', () => {
    const path = fresh()
    initialiseWal(path)
    expect(openWal(path)).toMatchObject({ condition: 'intact', records: [quiet(0)] })
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('shortens a long file on opening and never forgets the latest of any kind', () => {
    const path = fresh()
    const line = readLine(vote(1))
    writeFileSync(path, [line, readLine(block(1)).repeat(8999), readLine(block(9000))].join(''))
    expect(openWal(path).records).toHaveLength(9001)
    const shorter = openWal(path).records
    expect(shorter.length).toBeLessThan(600)
    expect(shorter[0]).toEqual(vote(1))
    expect(shorter.at(-1)).toEqual(block(9000))
  })

  it('shortens itself while it grows, and goes on in the shorter file', () => {
    const path = fresh()
    writeFileSync(path, [readLine(vote(1)), readLine(block(1)).repeat(8191)].join(''))
    const wal = openWal(path)
    const { size } = statSync(path)
    wal.append(block(2))
    expect(statSync(path).size).toBeLessThan(size / 10)
    wal.append(block(3))
    wal.close()
    const { records } = openWal(path)
    expect(records[0]).toEqual(vote(1))
    expect(records.slice(-2)).toEqual([block(2), block(3)])
  })
})

function readLine(record: WriteAheadRecord): string {
  const path = fresh()
  write(path, [record])
  return readFileSync(path, 'utf8')
}
