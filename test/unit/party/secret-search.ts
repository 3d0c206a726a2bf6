/** Looks for secrets in bytes that others may see, however they are written down and wherever they stand. @module */

export type Secret = Readonly<{ name: string; bytes: Uint8Array }>

/** The shortest secret that cannot be met by chance. */
const SECRET_BYTES_MIN = 12
const PREFIX_BYTES = 4

/** What base64 of anything that contains the bytes at an offset of `shift` (mod 3) contains in any case. */
function base64At(bytes: Uint8Array, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
  return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6))
}

/** Ways to write a secret: as bytes of either order, and those as hex, base64 and a number. */
export function formsOf({ name, bytes }: Secret): readonly Buffer[] {
  if (bytes.length < SECRET_BYTES_MIN) throw new Error(`expected at least ${SECRET_BYTES_MIN} bytes of ${name}, got ${bytes.length}`)
  return [Buffer.from(bytes), Buffer.from(bytes).reverse()].flatMap((raw) => {
    const hex = raw.toString('hex')
    const base64 = [0, 1, 2].map((shift) => base64At(raw, shift))
    const url = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))
    const texts = [hex, hex.toUpperCase(), ...new Set([...base64, ...url]), BigInt(`0x${hex}`).toString()]
    return [raw, ...texts.map((text) => Buffer.from(text))]
  })
}

/** Searches for any number of secrets in one pass. */
export class SecretSearch {
  readonly #forms = new Map<number, { name: string; form: Buffer }[]>()

  constructor(secrets: Iterable<Secret>) {
    for (const secret of secrets)
      for (const form of formsOf(secret)) {
        const prefix = form.readUInt32LE(0)
        const known = this.#forms.get(prefix)
        if (known === undefined) this.#forms.set(prefix, [{ name: secret.name, form }])
        else known.push({ name: secret.name, form })
      }
  }

  /** Names of the secrets that are in the bytes, once each. */
  in(seen: Buffer): readonly string[] {
    const found = new Set<string>()
    for (let at = 0; at + PREFIX_BYTES <= seen.length; at++)
      for (const { name, form } of this.#forms.get(seen.readUInt32LE(at)) ?? [])
        if (form.compare(seen, at, Math.min(at + form.length, seen.length)) === 0) found.add(name)
    return [...found]
  }
}
