/** Settings of a node: precedence, refusals and help. @module */
import { describe, expect, it } from 'vitest'
import { helpText, readConfig } from '#node/config.ts'

const read = (args: string[], env: Record<string, string> = {}) => {
  const config = readConfig(args, env)
  if (config === 'help') throw new Error('help')
  return config
}

describe('node settings', () => {
  it('have defaults on loopback', () => {
    expect(read([])).toMatchObject({
      dataDir: '.fusion',
      genesis: '.fusion/genesis.json',
      key: '.fusion/keys',
      rpcHost: '127.0.0.1',
      rpcPort: 8545,
      peers: [],
      edges: [],
    })
  })

  it('take flags over environment over defaults', () => {
    expect(read([], { FUSION_RPC_PORT: '9000' }).rpcPort).toBe(9000)
    expect(read(['--rpc-port', '9001'], { FUSION_RPC_PORT: '9000' }).rpcPort).toBe(9001)
  })

  it('split lists and cannot be changed afterwards', () => {
    const config = read(['--peers', '/ip4/127.0.0.1/tcp/1, /dns4/b.example/tcp/2,'])
    expect(config.peers).toEqual(['/ip4/127.0.0.1/tcp/1', '/dns4/b.example/tcp/2'])
    expect(Object.isFrozen(config)).toBe(true)
  })

  it.each([
    [['--rpc-port', '70000'], /SETTING_INVALID.*--rpc-port/],
    [['--rpc-port', 'x'], /SETTING_INVALID.*FUSION_RPC_PORT/],
    [['--peers', '127.0.0.1:9'], /SETTING_INVALID.*--peers/],
    [['--edges', 'file:///x'], /SETTING_INVALID.*--edges/],
    [['--log-level', 'loud'], /SETTING_INVALID.*--log-level/],
    [['--nonsense'], /FLAG_UNKNOWN/],
    [['positional'], /FLAG_UNKNOWN/],
  ])('refuse %j and name the setting', (args, message) => {
    expect(() => readConfig(args, {})).toThrow(message)
  })

  it('are all listed by --help', () => {
    expect(readConfig(['--help'], {})).toBe('help')
    for (const name of ['--data-dir', '--rpc-port', 'FUSION_PEERS', 'FUSION_EDGES', 'exit codes']) expect(helpText()).toContain(name)
  })
})
