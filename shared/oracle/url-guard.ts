/**
 * Which addresses a fetcher may call: registered hosts over https, never a private network, never credentials in the address.
 * The shell gives the parts of a URL as its WHATWG parser normalised them (which turns decimal, octal and hex forms of IPv4 into dots)
 * and asks again at every redirect. A name that resolves to a private address is the resolver's business, not visible here.
 * Source: RFC 1918, 3927, 4193, 4291, 5735, 6598; WHATWG URL.
 * @module
 */

/** Parts of a URL as a WHATWG parser gives them; a `URL` object is one. */
export type UrlParts = Readonly<{ protocol: string; hostname: string; port: string; username: string; password: string }>
/** Hosts that may be called, and `host:port` origins of a development machine that may be called over http on any port. */
export type UrlAllowance = Readonly<{ hosts: readonly string[]; developmentOrigins: readonly string[] }>
/** Stable codes of refusal. */
export type UrlFault = 'URL_SCHEME' | 'URL_CREDENTIALS' | 'URL_PORT' | 'URL_ADDRESS' | 'URL_HOST'

const IPV4 = /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/
const LOCAL_NAME = /(?:^|\.)(?:localhost|local|internal|home\.arpa|onion|test|invalid|example)\.?$/

/** First rule a URL breaks, or null. IP literals are refused whatever they point to: a registered source has a name. */
export function urlFault(url: UrlParts, allowance: UrlAllowance): UrlFault | null {
  if (url.username !== '' || url.password !== '') return 'URL_CREDENTIALS'
  if (url.protocol === 'http:' && allowance.developmentOrigins.includes(`${url.hostname}:${url.port === '' ? '80' : url.port}`)) return null
  if (url.protocol !== 'https:') return 'URL_SCHEME'
  if (url.port !== '') return 'URL_PORT'
  if (url.hostname.startsWith('[') || IPV4.test(url.hostname) || LOCAL_NAME.test(url.hostname) || !url.hostname.includes('.'))
    return 'URL_ADDRESS'
  return allowance.hosts.includes(url.hostname) ? null : 'URL_HOST'
}
