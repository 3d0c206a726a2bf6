/** Who speaks for a party: leases of stores that were restored, cloned or started twice, against a chain that keeps the newest. @module */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { Board, ChainParty } from '#node/party/chain-view.ts'
import { Custody } from '#node/party/custody.ts'
import type { Duty } from '#node/party/duties.ts'
import type { Candidate } from '#node/party/enrolment.ts'
import { enrol } from '#node/party/enrolment.ts'
import { isOwnDuty, mayStart, standingOf } from '#node/party/lease.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import type { Vault } from '#node/party/vault.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { Hash } from '#shared/types.ts'
import { presign, presignaturesOf, presigning } from '#test/unit/dcrm/presign-support.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const [A, B] = [bytesToHex(seedOf('A')), bytesToHex(seedOf('B'))]
const NETWORK = bytesToHex(seedOf('network'))
const ACCOUNT = `0x${'ab'.repeat(20)}` as const

describe('a lease', () => {
  it('lets a store start that knows the newest one, or one that has not got there', () => {
    const chain = { instanceId: A, generation: 5n }
    expect(mayStart({ instanceId: A, generation: 5n }, chain)).toBe(true)
    expect(mayStart({ instanceId: B, generation: 6n }, chain)).toBe(true)
    expect(mayStart({ instanceId: B, generation: 5n }, chain)).toBe(false)
    expect(mayStart({ instanceId: A, generation: 4n }, chain)).toBe(false)
    expect(mayStart(null, chain)).toBe(false)
    expect(mayStart(null, { instanceId: `0x${'00'.repeat(32)}`, generation: 0n })).toBe(true)
  })
  it('is lost to any other that is newer, and behind while the chain does not know its generation', () => {
    const own = { instanceId: A, generation: 5n }
    expect(standingOf(own, { instanceId: A, generation: 5n })).toBe('held')
    expect(standingOf(own, { instanceId: A, generation: 4n })).toBe('behind')
    expect(standingOf(own, { instanceId: B, generation: 6n })).toBe('lost')
    expect(standingOf(own, { instanceId: A, generation: 6n })).toBe('lost')
    expect(standingOf(own, { instanceId: B, generation: 5n })).toBe('lost')
  })
  it('gives a process what could not be begun before it, so that it meets nothing of the process before', () => {
    const duties = {
      operate: { kind: 'operate', operation: { seatedAt: 100n } },
      sign: { kind: 'sign', openingHeight: 60, attempt: 2 },
      setup: { kind: 'setup', attempt: 5 },
      stock: { kind: 'stock', attempt: 5 },
    }
    for (const [kind, duty] of Object.entries(duties))
      expect([kind, isOwnDuty(duty as unknown as Duty, 99), isOwnDuty(duty as unknown as Duty, 100)]).toEqual([kind, true, false])
  })
})

/** A chain that keeps one party, and shows it as final when told. */
class Chain {
  row: ChainParty | null = null
  final: ChainParty | null = null
  height = 10
  network = NETWORK
  isAway = false
  /** What the next things that are sent are refused with. */
  readonly refusals: string[] = []
  /** Called with what is sent, before it counts. */
  onSend: (name: string) => void = () => undefined

  view(): Candidate['chain'] {
    const settle = (): void => {
      this.final = this.row
      this.height++
    }
    return {
      account: ACCOUNT,
      finalHeight: () => {
        if (this.isAway) return Promise.reject(new Error('HTTP request failed.\n\nURL: http://user:credential@chain'))
        settle()
        return Promise.resolve(this.height)
      },
      board: (height) => Promise.resolve({ height, parties: this.final === null ? [] : [this.final] } as unknown as Board),
      genesisHash: () => Promise.resolve(this.network as Hash),
      send: (name, args) => {
        this.onSend(name)
        if (this.refusals.length > 0) return Promise.resolve(this.refusals.shift() ?? null)
        if (name === 'renewKeys') return Promise.resolve(this.#renewKeys(args))
        return Promise.resolve(name === 'registerParty' ? this.#register(args) : this.#renew(args))
      },
    }
  }

  #register([signKey]: readonly unknown[]): null {
    this.row = { id: 1, account: ACCOUNT, signKey: signKey as Hash, instanceId: `0x${'00'.repeat(32)}`, generation: 0n } as ChainParty
    return null
  }

  #renewKeys([signKey]: readonly unknown[]): string | null {
    if (this.row === null || signKey === this.row.signKey) return 'KeyInvalid'
    this.row = { ...this.row, signKey: signKey as Hash, instanceId: `0x${'00'.repeat(32)}`, generation: 0n }
    return null
  }

  #renew([instanceId, generation]: readonly unknown[]): string | null {
    const { row } = this
    if (row === null || (generation as bigint) <= row.generation) return 'LeaseNotNewer'
    this.row = { ...row, instanceId: instanceId as Hash, generation: generation as bigint }
    return null
  }
}

describe('a party that enrols', () => {
  const presignature = presignaturesOf(presign(presigning([1, 2], 'lease'))).get(1) as Presignature
  const lines: string[] = []
  let folder: string
  let chain: Chain
  const open: Vault[] = []
  const stop = new AbortController()

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fusion-lease-'))
    chain = new Chain()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((vault) => vault.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  /** A process over the store `name`. */
  function start(name: string, renewsKeys = false) {
    const [vault, stock] = ['custody', 'presignatures'].map((part) => openVault(join(folder, name, part), 'correct horse battery', 12)) as [
      Vault,
      Vault,
    ]
    open.push(vault, stock)
    const custody = new Custody(vault)
    const presignatures = new Presignatures(stock, custody, createNativeBackend(), Date.now)
    const note = (event: string, fields = {}): void => void lines.push(`${event} ${JSON.stringify(fields)}`)
    const log = { debug: note, info: note, warn: note, error: note, close: () => undefined }
    const candidate = {
      chain: chain.view(),
      custody,
      presignatures,
      log,
      signal: stop.signal,
      dataDir: name,
      relayUrl: 'http://relay',
      pollMs: 1,
      renewsKeys,
    }
    return {
      custody,
      presignatures,
      stock,
      seat: () => enrol(candidate),
      standing: () => standingOf(custody.lease() ?? fail(), chain.row ?? fail()),
    }
  }
  const fail = (): never => {
    throw new Error('there is no lease')
  }
  const copy = (from: string, to: string): void => cpSync(join(folder, from), join(folder, to), { recursive: true })

  it('is registered once, and speaks for its account when the final chain says so', async () => {
    expect(await start('volume').seat()).toEqual({ self: 1, genesisHash: NETWORK, leasedAt: -1 })
    expect(chain.row?.generation).toBe(1n)
    const later = await start('volume').seat()
    expect(later).toEqual({ self: 1, genesisHash: NETWORK, leasedAt: chain.height })
    expect(chain.row?.generation).toBe(2n)
  })

  it('16 with a restored old volume is refused, however often it is started', async () => {
    await start('volume').seat()
    copy('volume', 'yesterday')
    await start('volume').seat()
    await start('volume').seat()
    for (let times = 0; times < 5; times++)
      await expect(start('yesterday').seat()).rejects.toThrow(
        /LEASE_REFUSED.*expected a store of generation 3, got 1: this is an older copy/,
      )
    expect(chain.row?.generation).toBe(3n)
    await start('volume').seat()
  })

  it('16 with a volume from before a dispute is refused, though nobody started since', async () => {
    const first = start('volume')
    await first.seat()
    copy('volume', 'copy')
    first.custody.dispute(A, 0, 2, 'EXTENSION_CHECK')
    const lease = first.custody.lease() ?? fail()
    expect(first.standing()).toBe('behind')
    await chain.view().send('renewLease', [lease.instanceId, lease.generation])
    expect(first.standing()).toBe('held')
    await expect(start('copy').seat()).rejects.toThrow('LEASE_REFUSED')
  })

  it('16 over a copy of a running volume stops the other, and the other does not come back', async () => {
    const first = start('volume')
    await first.seat()
    copy('volume', 'copy')
    const second = start('copy')
    const { leasedAt } = await second.seat()
    expect([first.standing(), second.standing()]).toEqual(['lost', 'held'])
    expect(leasedAt).toBe(chain.height)
    await expect(start('volume').seat()).rejects.toThrow('LEASE_REFUSED')
    expect(second.standing()).toBe('held')
  })

  it('16 twice over two copies at once lets one in', async () => {
    await start('volume').seat()
    copy('volume', 'copy')
    const ends = await Promise.allSettled([start('volume').seat(), start('copy').seat()])
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it('16 has destroyed its presignatures before anybody hears of it again', async () => {
    const first = start('volume')
    await first.seat()
    first.presignatures.add([presignature])
    const second = start('volume')
    expect(second.stock.names('fresh/')).toHaveLength(1)
    const left: number[] = []
    chain.onSend = () => void left.push(second.stock.names('fresh/').length)
    await second.seat()
    expect(left).toEqual([0])
  })

  it('says nothing under an account that another store registered, or on another network', async () => {
    await start('volume').seat()
    await expect(start('stranger').seat()).rejects.toThrow(/LEASE_REFUSED.*another identity/)
    chain.network = B
    await expect(start('volume').seat()).rejects.toThrow('NETWORK_DIFFERS')
    expect(chain.row?.generation).toBe(1n)
  })

  it('takes the place of a lost store when told so, begins with what comes then, and leaves the old one no way back', async () => {
    const lost = start('volume')
    await lost.seat()
    await start('volume').seat()
    await expect(start('empty').seat()).rejects.toThrow(/another identity.*--renew-keys/)
    const fresh = start('new', true)
    expect(await fresh.seat()).toEqual({ self: 1, genesisHash: NETWORK, leasedAt: chain.height })
    expect(chain.row).toMatchObject({ signKey: fresh.custody.identity().signKey, generation: 1n })
    for (const renews of [false, true]) await expect(start('volume', renews).seat()).rejects.toThrow('LEASE_REFUSED')
    // Said again at a later start it changes nothing.
    expect((await start('new', true).seat()).self).toBe(1)
    expect(chain.row).toMatchObject({ signKey: fresh.custody.identity().signKey, generation: 2n })
  })

  it('says once why the chain does not let it in, and asks again', async () => {
    lines.length = 0
    chain.refusals.push('NotAdmitted', 'NotAdmitted', 'BondTooSmall')
    expect((await start('volume').seat()).self).toBe(1)
    const told = lines
      .filter((line) => line.startsWith('register-refused'))
      .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as unknown)
    expect(told).toMatchObject([
      { account: ACCOUNT, refusal: 'NotAdmitted', meaning: expect.stringContaining('fusion key vouch') as string },
      { refusal: 'BondTooSmall' },
    ])
  })

  it('waits for a chain that is away, and logs no address of it', async () => {
    chain.isAway = true
    const seat = start('volume').seat()
    await vi.waitFor(() => expect(lines.some((line) => line.startsWith('chain-away'))).toBe(true))
    chain.isAway = false
    expect((await seat).self).toBe(1)
    expect(lines.filter((line) => line.includes('credential'))).toEqual([])
  })
})
