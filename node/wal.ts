/**
 * Write-ahead file: what this node's key has signed, on disk before it leaves the process.
 * One line per record: CRC-32 of the JSON in hex, a space, the JSON. Reading it back after a crash is what keeps an honest
 * validator from contradicting itself.
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import * as z from 'zod'
import type { WriteAheadRecord } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

const hash = z.templateLiteral(['0x', z.string().regex(/^[0-9a-f]{64}$/)]).transform((text): Hash => text)
const slot = z.int().nonnegative()
const checkpoint = z.strictObject({ slot, blockHash: hash })
const recordSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('package'), slot, lane: z.int().nonnegative(), hash }),
  z.strictObject({ kind: z.literal('coSignature'), slot, lane: z.int().nonnegative(), hash }),
  z.strictObject({ kind: z.literal('block'), slot, hash }),
  z.strictObject({ kind: z.literal('vote'), source: checkpoint, target: checkpoint }),
  z.strictObject({ kind: z.literal('quiet'), until: slot }),
])

/** Name of the file in a node's data folder. */
export const WRITE_AHEAD_FILE = 'write-ahead'

/** Records of one kind that survive compaction: enough for any slot a peer could still ask about. */
const KEEP_PER_KIND = 256
const COMPACT_ABOVE = 8192

/**
 * `intact` includes a torn last record: its fsync never returned, so nothing that depends on it was sent. A file without any record is
 * `missing`: it was made by a start that did not live long enough to decide on a silence. `damaged` ends with the record of a silence.
 */
export type WalCondition = 'missing' | 'intact' | 'damaged'

export type Wal = Readonly<{
  condition: WalCondition
  /** What the file held on opening, oldest first. */
  records: readonly WriteAheadRecord[]
  /** Returns after the record is on disk. @throws when the disk refuses, and then nothing may be sent */
  append: (record: WriteAheadRecord) => void
  close: () => void
}>

const encodeLine = (record: WriteAheadRecord): string => {
  const json = JSON.stringify(record)
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

function decodeLine(line: string): WriteAheadRecord | null {
  const json = line.slice(9)
  if (line[8] !== ' ' || crc32(json).toString(16).padStart(8, '0') !== line.slice(0, 8)) return null
  try {
    return recordSchema.parse(JSON.parse(json))
  } catch {
    // The checksum holds but the content is not ours: the same answer as for a broken line.
    return null
  }
}

type Contents = Readonly<{ condition: WalCondition; records: WriteAheadRecord[]; validBytes: number; bytes: number; isOpenLine: boolean }>

function readContents(path: string): Contents {
  let text: string
  try {
    // One character per byte, whatever has become of them.
    text = readFileSync(path, 'latin1')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      return { condition: 'missing', records: [], validBytes: 0, bytes: 0, isOpenLine: false }
    throw cause
  }
  const records: WriteAheadRecord[] = []
  let validBytes = 0
  let offset = 0
  let broken: string[] = []
  const lines = text.split('\n')
  // What follows the last newline is a torn record or nothing.
  const rest = lines.pop() ?? ''
  for (const line of lines) {
    const record = decodeLine(line)
    offset += line.length + 1
    if (record === null) {
      broken.push(line)
      continue
    }
    // Whatever was lost before a silence is covered by it.
    if (record.kind === 'quiet') broken = []
    records.push(record)
    if (broken.length === 0) validBytes = offset
  }
  // A power cut may leave zeros, and only in the record that was being written.
  const isTorn = broken.length === 0 || (broken.length === 1 && rest === '' && broken[0] === lines.at(-1) && lines.at(-1)?.includes('\0'))
  const condition = !isTorn ? 'damaged' : records.length === 0 ? 'missing' : 'intact'
  return { condition, records, validBytes, bytes: text.length, isOpenLine: rest !== '' }
}

function compact(records: readonly WriteAheadRecord[]): WriteAheadRecord[] {
  const seen = new Map<WriteAheadRecord['kind'], number>()
  const kept: WriteAheadRecord[] = []
  for (const record of records.toReversed()) {
    const count = (seen.get(record.kind) ?? 0) + 1
    seen.set(record.kind, count)
    if (count <= KEEP_PER_KIND) kept.push(record)
  }
  return kept.toReversed()
}

function syncFolder(path: string): void {
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

function rewrite(path: string, records: readonly WriteAheadRecord[]): void {
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  writeFileSync(file, records.map(encodeLine).join(''))
  fsyncSync(file)
  closeSync(file)
  renameSync(temporary, path)
  syncFolder(path)
}

/** Makes the file of a key that was made this moment and has signed nothing. */
export function initialiseWal(path: string): void {
  rewrite(path, [{ kind: 'quiet', until: 0 }])
}

/** Opens or creates the file, cuts a torn tail, and shortens a long one, also while it grows. A damaged file stays as it is until its silence is recorded. */
export function openWal(path: string): Wal {
  const contents = readContents(path)
  const isDamaged = contents.condition === 'damaged'
  let kept = contents.records.length > COMPACT_ABOVE ? compact(contents.records) : [...contents.records]
  if (!isDamaged && kept.length < contents.records.length) rewrite(path, kept)
  else if (!isDamaged && contents.bytes > contents.validBytes) truncateSync(path, contents.validBytes)
  let file = openSync(path, 'a', 0o600)
  // The next record must not become part of the damage.
  if (isDamaged && contents.isOpenLine) writeSync(file, '\n')
  if (contents.condition === 'missing') syncFolder(path)
  return {
    condition: contents.condition,
    records: contents.records,
    append: (record) => {
      const line = Buffer.from(encodeLine(record), 'latin1')
      // A disk that is nearly full takes a part and reports no error.
      if (writeSync(file, line) !== line.length) throw new Error('the disk took a part of a write-ahead record')
      fsyncSync(file)
      kept.push(record)
      if (kept.length <= COMPACT_ABOVE) return
      kept = compact(kept)
      rewrite(path, kept)
      closeSync(file)
      file = openSync(path, 'a', 0o600)
    },
    close: () => closeSync(file),
  }
}
