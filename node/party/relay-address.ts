/** Where others find a party's relay: what may be registered, and what is of use to them. @module */

/** Longest address the chain takes, in bytes. Source: contracts/src/KeyBase.sol, URL_BYTES_MAX. */
const ADDRESS_BYTES_MAX = 128
const LOCAL = /^(?:(?:.+\.)?localhost\.?|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\]|\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\])$/

/** What an address must be, for messages. */
export const ADDRESS_RULE = `expected an http or https URL of at most ${ADDRESS_BYTES_MAX} printable ASCII characters, without credentials, query or fragment`

/** Whether an address may be registered: paths of requests are put behind it, and everybody sees it. */
export function isRelayAddress(text: string): boolean {
  const url = URL.parse(text)
  const isPlain = /^https?:\/\/[!-~]+$/.test(text) && !/[?#\\]/.test(text)
  return url !== null && isPlain && text.length <= ADDRESS_BYTES_MAX && url.username === '' && url.password === ''
}

/** Whether only this machine can reach an address. */
export function isLocalAddress(text: string): boolean {
  return LOCAL.test(URL.parse(text)?.hostname ?? '')
}
