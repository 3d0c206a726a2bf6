/** The command line: what it understands, prints, refuses, and the codes it ends with. @module */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { encodeAbiParameters } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { afterEach, describe, expect, it } from 'vitest'
import { runLine } from '#node/cli/run.ts'
import { addressOf, signBatch } from '#node/sdk/index.ts'
import { batchToJson } from '#shared/oracle/json.ts'
import type { Answer, Route } from '../sdk/fake-edge.ts'
import { GENESIS, metaOf, startFakeEdge } from '../sdk/fake-edge.ts'

const operator = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 10 })
const owner = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'
const id = `0x${'cc'.repeat(32)}`
const feedId = `0x${'bb'.repeat(32)}`
const folder = mkdtempSync(path.join(tmpdir(), 'fusion-cli-'))
const file = (name: string, text: string): string => {
  const full = path.join(folder, name)
  writeFileSync(full, text)
  return full
}

let close: () => Promise<void> = () => Promise.resolve()
afterEach(() => close())

type Rpc = Readonly<Record<string, unknown>>

async function network(routes: Readonly<Record<string, Route>> = {}, rpc: Rpc = {}) {
  const answerRpc: Route = ({ body }): Answer => {
    const { id: call, method, params } = body as { id: number; method: string; params: unknown }
    const [first] = params as readonly { data?: string }[]
    const selector = first?.data?.slice(0, 10)
    const result =
      rpc[selector ?? method] ?? rpc[method] ?? (method === 'eth_call' ? encodeAbiParameters([{ type: 'uint256' }], [0n]) : null)
    return { json: { jsonrpc: '2.0', id: call, result } }
  }
  const started = await startFakeEdge({
    'GET /v1/meta': () => ({ json: metaOf(addressOf(operator), `${started.edgeUrl}/rpc`) }),
    'POST /rpc': answerRpc,
    ...routes,
  })
  close = started.close
  const run = (line: string, environment: Readonly<Record<string, string>> = {}) =>
    runLine(line.split(' '), { FUSION_EDGE: started.edgeUrl, ...environment })
  return { ...started, run }
}

const report = {
  sequence: '3',
  value: '139446',
  status: 'OK',
  firstRound: 10,
  lastRound: 12,
  observedAtMs: 1_700_000_000_000,
  lastObservedAtMs: 1_700_000_003_000,
  afterGap: true,
  digest: id,
}
const feed = {
  id: feedId,
  name: 'sp500',
  decimals: 2,
  sourceSet: id,
  sourceSetName: 'demo',
  shard: 0,
  roundMs: 1500,
  members: [owner],
  latest: report,
  text: '1394.46',
  blockNumber: 9,
}
const row = {
  id,
  owner,
  contract: owner,
  name: 'alarm',
  kind: 'feed.compare',
  status: 'ACTIVE',
  revision: 2,
  dueAt: 0,
  fires: 4,
  missed: 1,
  fundingWei: '1500000000000000000',
  blockNumber: 9,
  entry: {},
  trigger: { name: 'alarm' },
}
const intent = { id, action: 'pause', owner, status: 'DONE', txHash: id, entryId: id, blockNumber: 12, detail: null, createdAtMs: 1 }
const trigger = {
  v: 1,
  name: 'tick',
  mode: { type: 'timing', when: { kind: 'interval', anchor: 0, everySec: 60 }, missed: { mode: 'skip' } },
  action: { to: owner, abi: 'tick()', args: [], gasLimit: 100_000 },
  limits: { expiresAt: 2_000_000_000_000, maxFires: 10, cooldownSec: 0, maxFeePerGas: '2000000000', freshForSec: 600 },
  onRevert: { retries: 1, backoffSec: 5, thenPause: true },
  funding: { reserve: '1', lowWater: '0', tip: '0', attestationFee: '0' },
}
const validated = {
  encoded: '0x0102',
  descHash: id,
  dueAt: 1_700_000_000_000,
  gasPerFire: '120000',
  depositWei: '1000',
  feePerFireMaxWei: '5000',
}

describe('help', { timeout: 20_000 }, () => {
  it('lists every command, and shows the options of each', async () => {
    const { code, out } = await runLine([], {})
    expect(code).toBe(0)
    const commands = out.split('\n').filter((line) => line.startsWith('  '))
    const paths = commands.map((line) =>
      line
        .slice(2, 36)
        .replaceAll(/<[^>]+>|\[[^\]]+\]/g, '')
        .trim(),
    )
    expect(paths).toContain('trigger register')
    for (const one of paths) {
      const help = await runLine([...one.split(' '), '--help'], {})
      expect([help.code, help.out.split('\n')[0]?.startsWith(`fusion ${one}`), help.out.includes('--json')]).toEqual([0, true, true])
    }
  })

  it.each(['trigger', 'feed', 'key'])('of the group %s is what its name alone asks for', async (group) => {
    const alone = await runLine([group], {})
    expect(alone).toEqual(await runLine([group, '--help'], {}))
    const shown = alone.out.split('\n').filter((line) => line.startsWith('  '))
    expect(shown.length).toBeGreaterThan(2)
    for (const line of shown) expect(line.startsWith(`  ${group} `)).toBe(true)
    expect(alone).toMatchObject({ code: 0, error: '' })
    expect(await runLine([group, 'nonsense'], {})).toMatchObject({
      code: 2,
      out: '',
      error: `fusion: unknown command "${group} nonsense"\n\n${alone.out}`,
    })
  })

  it('answers what it does not understand with code 2', async () => {
    expect(await runLine(['nonsense'], {})).toMatchObject({ code: 2, out: '' })
    expect((await runLine(['status', '--nonsense'], {})).error).toContain("Unknown option '--nonsense'")
    expect((await runLine(['status', 'extra'], {})).error).toContain('expected no operands, got 1')
    expect((await runLine(['trigger', 'get'], {})).error).toContain('expected <id>, got 0')
    expect((await runLine(['trigger', 'get', '0x12'], {})).error).toContain('expected an id of 32 bytes')
    expect((await runLine(['status', '--edge', 'localhost'], {})).error).toContain('--edge expects')
    expect((await runLine(['feed', 'history', 'x', '--limit', '-1'], {})).code).toBe(2)
  })
})

describe('reading', { timeout: 20_000 }, () => {
  it('shows feeds as a table and as JSON', async () => {
    const { run } = await network({
      'GET /v1/feeds': () => ({ json: { items: [feed] } }),
      [`GET /v1/feeds/${feedId}/latest`]: () => ({ json: feed }),
      [`GET /v1/feeds/${feedId}/history`]: () => ({ json: { items: [report], next: '3' } }),
    })
    const list = await run('feed list')
    expect(list.out.split('\n')[0]).toMatch(/^feed +value +status +observed +id$/)
    expect(list.out).toContain('demo/sp500  1394.46  OK')
    expect(JSON.parse((await run('feed list --json')).out)).toEqual([feed])
    expect((await run('feed latest sp500')).out).toContain('report:      3, rounds 10 to 12')
    const history = await run('feed history demo/sp500 --after 2')
    expect(history.out).toContain('after a gap')
    expect(history.out).toContain('more: --after 3')
    expect(await run('feed latest rain')).toEqual({
      code: 1,
      out: '',
      error: 'fusion feed latest: no single feed is called "rain"; see fusion feed list\n',
    })
  })

  it('shows triggers, reasons, fires and timetables', async () => {
    const fire = {
      fireKey: id,
      entryId: id,
      occurrence: id,
      success: false,
      gasUsed: '51000',
      txHash: id,
      blockNumber: 9,
      blockHash: id,
      blockTimeMs: 1_700_000_000_000,
      seenAtMs: 1_700_000_000_100,
      finalAtMs: 1_700_000_003_200,
      cause: null,
    }
    const explained = {
      id,
      blockHash: id,
      outcome: 'notDue',
      reason: 'NOT_ARMED',
      detail: 'waits for its re-arm level',
      retryAtMs: 0,
      entry: {},
    }
    const { run, asked } = await network({
      'GET /v1/triggers': () => ({ json: { items: [row], next: null } }),
      [`GET /v1/triggers/${id}`]: () => ({ json: row }),
      [`GET /v1/triggers/${id}/explain`]: () => ({ json: explained }),
      [`GET /v1/triggers/${id}/fires`]: () => ({ json: { items: [fire], next: '20' } }),
      [`GET /v1/triggers/${id}/schedule`]: () => ({ json: { id, unit: 'event', due: [] } }),
    })
    expect((await run(`trigger list --owner ${owner} --status active`)).out).toContain('alarm  feed.compare  ACTIVE  -        4  1.5 FSN')
    expect(asked.find(({ path: asking }) => asking.startsWith('/v1/triggers?'))?.path).toBe(
      `/v1/triggers?limit=50&owner=${owner}&status=ACTIVE`,
    )
    expect((await run('trigger list --status wrong')).code).toBe(2)
    expect((await run(`trigger get ${id}`)).out).toContain('"name": "alarm"')
    expect((await run(`trigger explain ${id}`)).out).toContain('waits for its re-arm level')
    expect((await run(`trigger fires ${id}`)).out).toMatch(/reverted +51000 +3\.2 s[\s\S]*more: --cursor 20/)
    expect((await run(`trigger schedule ${id}`)).out).toBe('an event makes it due; there is no timetable\n')
  })

  it('shows what an edge or a trigger’s owner wrote as text, in its own line', async () => {
    const { run } = await network({
      [`GET /v1/triggers/${id}`]: () => ({ json: { ...row, name: 'alarm\nstatus: PAUSED\u001b[2J' } }),
      [`GET /v1/triggers/${feedId}`]: () => ({ status: 404, text: '\u001b]0;owned\u0007\u009b2J' }),
    })
    const { out } = await run(`trigger get ${id}`)
    expect(out).toMatch(/^name: +alarm\\u000astatus: PAUSED\\u001b\[2J$/m)
    expect(out.split('\n').filter((line) => line.startsWith('status:'))).toHaveLength(1)
    const { code, error } = await run(`trigger get ${feedId}`)
    expect(code).toBe(1)
    expect(error).toContain(String.raw`\u001b]0;owned\u0007\u009b2J`)
    expect(error).not.toMatch(/[^\n\P{Cc}]/u)
  })

  it('shows the network, with or without its edge', async () => {
    const finality = { head: { number: 12, hash: id }, safe: { number: 11, hash: id }, finalized: { number: 10, hash: id } }
    const status = {
      nowMs: 1,
      validators: [],
      fires: [],
      feeds: [feed],
      accounts: [{ role: 'operator', address: owner, balanceWei: '1000000000000000000' }],
      triggers: [],
      submissions: [],
    }
    const { run, edgeUrl } = await network(
      { 'GET /v1/status': () => ({ json: status }), 'GET /healthz': () => ({ json: { status: 'ok', head: 12, headAgeMs: 5 } }) },
      { fusion_finality: finality },
    )
    expect((await run('status')).out).toMatch(/chain: +81920[\s\S]*12 +11 +10[\s\S]*operator +0xf39f\w+ +1 FSN/)
    const alone = await runLine(['status', '--rpc', `${edgeUrl}/rpc`, '--edge', 'http://127.0.0.1:9'], {})
    expect([alone.code, /away/.test(alone.out), /12 +11 +10/.test(alone.out)]).toEqual([0, true, true])
    const nothing = await runLine(['status', '--edge', 'http://127.0.0.1:9', '--rpc', 'http://127.0.0.1:9'], {})
    expect([nothing.code, nothing.error]).toEqual([
      1,
      'fusion status: neither the edge http://127.0.0.1:9 nor any validator answers; is the network running?\n',
    ])
  })

  it('says what is wrong with a validator', async () => {
    const broken = await network(
      { 'GET /v1/evidence': () => ({ json: { items: [], next: null } }) },
      { fusion_evidence: { some: 'thing' } },
    )
    expect((await broken.run('evidence export')).error).toContain('answered fusion_evidence with something else')
    expect((await broken.run('evidence export --rpc http://127.0.0.1:9')).error).toContain('did not answer fusion_evidence')
  })

  it('exports evidence of every page and of validators', async () => {
    const one = { id, offence: 'BATCH_EQUIVOCATION', offender: owner, sourceSet: id, round: 5, first: {}, second: {}, seenAtMs: 1 }
    const { run } = await network(
      { 'GET /v1/evidence': ({ path: asked }) => ({ json: { items: [one], next: asked.includes('cursor=1') ? null : '1' } }) },
      { fusion_evidence: [{ offence: 'DOUBLE_VOTE', offender: owner, first: '0x01', second: '0x02' }] },
    )
    const out = path.join(folder, 'evidence.json')
    expect((await run(`evidence export --out ${out}`)).out).toBe(`2 oracle and 1 consensus faults in ${out}\n`)
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({
      chainId: 81_920,
      genesisHash: GENESIS,
      oracle: [one, one],
      consensus: [{ offence: 'DOUBLE_VOTE' }],
    })
  })
})

describe('evidence', { timeout: 20_000 }, () => {
  const provider = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 20 })
  const sign = async (value: bigint) =>
    batchToJson(
      await signBatch(
        provider,
        {
          sourceSet: GENESIS,
          shard: 0,
          roundMs: 1500,
          observedAtMs: 1600,
          leaves: [{ feed: GENESIS, value, confidence: 0n, low: value, high: value, status: 'OK' }],
        },
        GENESIS,
      ),
    )

  it('is verified offline, proof by proof', async () => {
    const proof = { id, offence: 'BATCH_EQUIVOCATION', offender: owner, first: await sign(1n), second: await sign(2n) }
    const good = file('good.json', JSON.stringify({ chainId: 1, genesisHash: GENESIS, oracle: [proof], consensus: [] }))
    const seen = await runLine(['evidence', 'verify', good], {})
    expect([seen.code, seen.out.includes(`BATCH_EQUIVOCATION  ${addressOf(provider)}`)]).toEqual([0, true])
    const bad = file('bad.json', JSON.stringify({ genesisHash: GENESIS, oracle: [proof, { ...proof, second: proof.first }] }))
    const refused = await runLine(['evidence', 'verify', bad], {})
    expect([refused.code, /1 {2}proves nothing/.test(refused.error)]).toEqual([1, true])
    expect((await runLine(['evidence', 'verify', file('no.json', '{}')], {})).error).toContain('is not a file of fusion evidence export')
    expect((await runLine(['evidence', 'verify', 'nowhere.json'], {})).code).toBe(2)
  })
})

describe('signing', { timeout: 20_000 }, () => {
  const keyFile = file('key', `0x${'11'.repeat(32)}\n`)
  const triggerFile = file('trigger.json', JSON.stringify(trigger))

  it('needs a key and never shows a broken one', async () => {
    const { run } = await network({ [`POST /v1/triggers/${id}/pause`]: () => ({ status: 202, json: intent }) })
    expect((await run(`trigger pause ${id}`)).error).toContain('a key is needed')
    const secret = 'ab'.repeat(31)
    const broken = await run(`trigger pause ${id} --key-file ${file('broken', secret)}`)
    expect([broken.code, broken.error.includes('does not hold a private key'), broken.error.includes(secret)]).toEqual([2, true, false])
    expect((await run(`trigger pause ${id}`, { FUSION_KEY: 'keys/validator.json' })).error).toContain(
      'FUSION_KEY does not hold a private key',
    )
    expect((await run(`trigger pause ${id} --key-file ${folder}/none`)).error).toContain('cannot read the key file')
    expect((await run(`trigger pause ${id} --account 0`, { FUSION_CHAIN_ID: '5' })).error).toContain('for development networks')
    expect((await run(`trigger pause ${id} --account x`)).code).toBe(2)
  })

  it('pauses, funds and waits until the change is in a block', async () => {
    const { run, asked } = await network({
      [`POST /v1/triggers/${id}/pause`]: () => ({ status: 202, json: { ...intent, status: 'SENT', blockNumber: null } }),
      [`POST /v1/triggers/${id}/fund`]: () => ({ status: 202, json: { ...intent, action: 'fund' } }),
      [`GET /v1/intents/${id}`]: () => ({ json: intent }),
    })
    expect((await run(`trigger pause ${id} --key-file ${keyFile}`)).out).toMatch(/DONE[\s\S]*block: +12/)
    expect((await run(`trigger pause ${id} --no-wait`, { FUSION_KEY: '11'.repeat(32) })).out).toContain('SENT')
    await run(`trigger fund ${id} 0.25 --account 0`)
    expect(asked.find(({ path: asking }) => asking.endsWith('/fund'))?.body).toMatchObject({ amountWei: '250000000000000000', owner })
    expect((await run(`trigger fund ${id} -1 --account 0`)).code).toBe(2)
    expect((await run(`trigger fund ${id} 1e3 --account 0`)).error).toContain('expected an amount of FSN')
  })

  it('registers only what is valid and paid for', async () => {
    const balance = { '0x70a08231': encodeAbiParameters([{ type: 'uint256' }], [10n ** 18n]) }
    const { run, asked } = await network(
      {
        'GET /v1/feeds': () => ({ json: { items: [feed] } }),
        'POST /v1/triggers:validate': () => ({ json: validated }),
        'POST /v1/triggers': () => ({ status: 202, json: { ...intent, action: 'register', status: 'FAILED', detail: 'nonce used' } }),
        [`GET /v1/intents/${id}`]: () => ({ json: { ...intent, action: 'register', status: 'FAILED', detail: 'nonce used' } }),
      },
      balance,
    )
    expect((await run(`trigger register ${triggerFile} --account 0`)).error).toContain('--fund AMOUNT is needed')
    const poor = await run(`trigger register ${triggerFile} --fund 2 --account 0`)
    expect([
      poor.code,
      /has 1 FSN in the calling list and needs 2\.000000000000002 FSN.*fusion deposit 1\.000000000000002$/m.test(poor.error),
    ]).toEqual([1, true])
    expect(asked.some(({ method, path: asking }) => method === 'POST' && asking === '/v1/triggers')).toBe(false)
    expect((await run(`trigger register ${triggerFile} --fund 0.5 --account 0`)).error).toContain('register failed: nonce used')
    expect((await run(`trigger validate ${triggerFile}`)).out).toContain('first due:     2023-11-14T22:13:20.000Z')
    const wrong = await run(`trigger validate ${file('wrong.json', JSON.stringify({ ...trigger, surprise: 1 }))}`)
    expect([wrong.code, wrong.error.includes('the trigger is not valid')]).toEqual([1, true])
    expect((await run(`trigger validate ${file('broken.json', '{')}`)).error).toContain('is not JSON')
    expect((await run('trigger validate nowhere.json')).error).toContain('cannot read nowhere.json')
  })

  it('asks the faucet and reads balances', async () => {
    const { run } = await network(
      { 'POST /v1/faucet': () => ({ status: 202, json: { txHash: id, amountWei: '10000000000000000000' } }) },
      { eth_getBalance: '0xde0b6b3a7640000' },
    )
    expect((await run('faucet --account 0')).out).toBe(`10 FSN on the way to ${owner} in ${id}\n`)
    expect((await run(`balance ${owner}`)).out).toMatch(/account: +1 FSN[\s\S]*next intent nonce: +0/)
  })
})

describe('the installed command', { timeout: 30_000 }, () => {
  const shim = path.resolve(import.meta.dirname, '../../../node/bin/fusion.js')

  it('passes arguments, output and exit code through', () => {
    expect(execFileSync(process.execPath, [shim, 'trigger', 'get', '--help'], { encoding: 'utf8' })).toContain('fusion trigger get <id>')
    expect(spawnSync(process.execPath, [shim, 'nonsense']).status).toBe(2)
  })
})
