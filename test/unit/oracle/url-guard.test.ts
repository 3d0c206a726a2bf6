/** Addresses a fetcher must not call, through the platform's own URL parser. @module */
import { describe, expect, it } from 'vitest'
import { urlFault } from '#shared/oracle/url-guard.ts'

const allowance = {
  hosts: ['api.weather.gov', '127.0.0.1', '169.254.169.254', 'localhost', 'intranet'],
  developmentOrigins: ['127.0.0.1:8790'],
}
const fault = (text: string) => urlFault(new URL(text), allowance)

describe('the URL guard', () => {
  it('lets registered hosts through', () => {
    expect(fault('https://api.weather.gov/points?x=1')).toBeNull()
    expect(fault('https://API.weather.gov:443/')).toBeNull()
    expect(fault('http://127.0.0.1:8790/sp500')).toBeNull()
  })

  it('refuses schemes, credentials, ports and strangers', () => {
    expect(fault('http://api.weather.gov/')).toBe('URL_SCHEME')
    expect(fault('ftp://api.weather.gov/')).toBe('URL_SCHEME')
    expect(fault('file:///etc/passwd')).toBe('URL_SCHEME')
    expect(fault('https://user@api.weather.gov/')).toBe('URL_CREDENTIALS')
    expect(fault('https://:secret@api.weather.gov/')).toBe('URL_CREDENTIALS')
    expect(fault('http://user@127.0.0.1:8790/')).toBe('URL_CREDENTIALS')
    expect(fault('https://api.weather.gov:8443/')).toBe('URL_PORT')
    expect(fault('https://api.weather.gov.evil.org/')).toBe('URL_HOST')
    expect(fault('http://127.0.0.1:8545/')).toBe('URL_SCHEME')
  })

  it('refuses every way to write an address, even on the list', () => {
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '169.254.169.254',
      '10.0.0.1',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[fd00::1]',
      'localhost',
      'intranet',
      'db.internal',
      'printer.local',
      'a.localhost.',
    ])
      expect(fault(`https://${host}/`)).toBe('URL_ADDRESS')
  })
})
