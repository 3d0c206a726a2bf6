/** Reads the regular files of an uncompressed tar archive. Source: POSIX ustar. @module */

/** Name and content of each regular file, in archive order. */
export function* tarFiles(archive: Uint8Array): Generator<Readonly<{ name: string; content: Buffer }>> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.length)
  for (let offset = 0; offset + 512 <= bytes.length;) {
    const header = bytes.subarray(offset, offset + 512)
    const name = header.toString('utf8', 0, 100).replaceAll('\0', '')
    if (name === '') return
    const prefix = header.toString('utf8', 345, 500).replaceAll('\0', '')
    const size = Number.parseInt(header.toString('utf8', 124, 136).replaceAll('\0', '').trim(), 8)
    const kind = String.fromCharCode(header[156] ?? 0)
    if (kind === '0' || kind === '\0')
      yield { name: prefix === '' ? name : `${prefix}/${name}`, content: bytes.subarray(offset + 512, offset + 512 + size) }
    offset += 512 + 512 * Math.ceil(size / 512)
  }
}
