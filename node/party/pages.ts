/** Lists of the chain that are longer than one answer. @module */

/** Reads page after page until one is not full. `read` gets the rows so far and gives at most `size` more; they must be of one block. */
export async function allPages<Row>(size: number, read: (soFar: readonly Row[]) => Promise<readonly Row[]>): Promise<readonly Row[]> {
  const rows: Row[] = []
  for (;;) {
    const page = await read(rows)
    rows.push(...page)
    if (page.length < size) return rows
  }
}
