/** Asks servers whose addresses others chose: only over HTTP, only there, only as much as is wanted. @module */
import { BoundedBytes } from '#shared/bounded-bytes.ts'

/** Status and body of an answer. */
export type BoundedAnswer = Readonly<{ status: number; text: string }>

/** Asks; redirects are not followed. @throws {Error} when the address is of another kind, nobody answers, or more than `limit` bytes come */
export async function fetchBounded(address: string, init: Omit<RequestInit, 'redirect'>, limit: number): Promise<BoundedAnswer> {
  const url = URL.parse(address)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw new Error('expected an address of http or https')
  const response = await fetch(url, { ...init, redirect: 'error' })
  const body = new BoundedBytes(limit)
  for await (const part of response.body ?? [])
    if (!body.take(part)) throw new Error(`expected a shorter answer, got more than ${limit} bytes`)
  return { status: response.status, text: new TextDecoder().decode(body.whole()) }
}
