/** Bad on purpose: the linter must find every line below. @module */
export async function floats(): Promise<void> {}
export function planted(kind: 'a' | 'b', text: string): number {
  floats()
  const anything: any = text
  if (text === undefined) return anything
  switch (kind) {
    case 'a':
      return [10, 9].sort()[0] ?? 0
  }
  return text!.length
}
