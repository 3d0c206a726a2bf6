/** Base fee, receipts, delegations, decoder and rewards. Sources: EIP-1559, EIP-2718, EIP-7702; whitepaper 3.4.3. @module */
import { createBlockHeader } from '@ethereumjs/block'
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isDelegation } from '#node/evm/authorizations.ts'
import { triggerDecoder } from '#node/evm/precompile.ts'
import { nextBaseFee } from '#shared/chain/base-fee.ts'
import { concatBytes } from '#shared/bytes.ts'
import { EMPTY_BLOOM, encodeReceipt, joinBlooms, logsBloom } from '#shared/chain/receipt.ts'
import { blockTransfers } from '#shared/chain/rewards.ts'
import { FEE_COLLECTOR, NODE_RESERVE, TRIGGER_DECODER } from '#shared/system.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { encodeReceipt as referenceReceipt } from '@ethereumjs/vm'
import { accounts, addressOf, ChainFixture, validators } from '#test/unit/evm/chain-fixture.ts'
import { suite } from '#test/unit/evm/support.ts'
import { DAILY } from '#test/unit/trigger/samples.ts'

const word = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const common = createCustomCommon({ chainId: 1, name: 'reference' }, Mainnet, { hardfork: Hardfork.Cancun })
const [first, second, third] = accounts
if (first === undefined || second === undefined || third === undefined) throw new Error('the fixture has accounts')
const sender = first
const delegator = second

test('the base fee moves as the reference implementation moves it', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 7n, max: 10n ** 12n }), fc.bigInt({ min: 0n, max: 10_000_000n }), (baseFeePerGas, gasUsed) => {
      const header = createBlockHeader({ number: 1n, gasLimit: 10_000_000n, gasUsed, baseFeePerGas }, { common })
      expect(nextBaseFee(baseFeePerGas, gasUsed, 5_000_000n)).toBe(header.calcNextBaseFee())
    }),
  )
})

test('receipts encode as the reference implementation encodes them', () => {
  const logs = [{ address: addressOf(first), topics: [word(1), word(2)], data: Uint8Array.of(1, 2, 3) }]
  const bloom = logsBloom(logs, suite.keccak256)
  for (const txType of [0, 2, 0x46]) {
    const ours = encodeReceipt({ txType, status: 1, cumulativeGasUsed: 21_000n, logsBloom: bloom, logs })
    const bytes = (hex: Hex) => new Uint8Array(Buffer.from(hex.slice(2), 'hex'))
    const reference = {
      status: 1,
      cumulativeBlockGasUsed: 21_000n,
      bitvector: bytes(bloom),
      logs: logs.map(({ address, topics, data }) => [bytes(address), topics.map(bytes), data]),
    }
    expect(ours).toEqual(referenceReceipt(reference as never, txType as never))
  }
  expect(joinBlooms([EMPTY_BLOOM, bloom])).toBe(bloom)
  expect(joinBlooms([EMPTY_BLOOM])).toBe(EMPTY_BLOOM)
})

describe('a set-code transaction', () => {
  /** Stores 1 in slot 0 of whoever runs it. */
  const delegate: Address = `0x${'de'.repeat(20)}`
  const predeploys = new Map([[delegate, { code: new Uint8Array(Buffer.from('600160005500', 'hex')), storage: new Map() }]])

  async function signed(chain: ChainFixture, authorization: Readonly<{ chainId: number; nonce: number }>, to: Address): Promise<Hex> {
    const signedAuthorization = await delegator.signAuthorization?.({ address: delegate, ...authorization })
    const list = signedAuthorization === undefined ? [] : [signedAuthorization]
    return await sender.signTransaction({
      type: 'eip7702',
      chainId: chain.params.chainId,
      nonce: 0,
      to,
      gas: 200_000n,
      maxFeePerGas: 10n ** 10n,
      maxPriorityFeePerGas: 0n,
      authorizationList: list,
    })
  }

  test('delegates an account, which then runs the code and still signs', async () => {
    const chain = new ChainFixture({ predeploys })
    const authority = addressOf(second)
    await chain.advance([[await signed(chain, { chainId: 81_920, nonce: 0 }, authority)], []])
    expect(isDelegation(chain.view.code(authority))).toBe(true)
    expect(chain.view.account(authority)?.nonce).toBe(1n)
    expect(chain.view.storage(authority, word(0))).toBe(word(1))
    const { receipts } = await chain.advance([[await chain.sign(second, { nonce: 1, to: addressOf(third), value: 1n })], []])
    expect(receipts[0]?.status).toBe(1)
  })

  test.each([
    ['for another chain', { chainId: 1, nonce: 0 }],
    ['with a wrong nonce', { chainId: 81_920, nonce: 1 }],
  ])('passes over an authorization %s', async (_, authorization) => {
    const chain = new ChainFixture({ predeploys })
    const { receipts } = await chain.advance([[await signed(chain, authorization, addressOf(third))], []])
    expect(receipts[0]?.status).toBe(1)
    expect(chain.view.account(addressOf(second))?.nonce).toBe(0n)
    expect(chain.view.code(addressOf(second))).toHaveLength(0)
  })

  test('gives back the price of a new account to one that exists', async () => {
    const chain = new ChainFixture({ predeploys })
    const { receipts } = await chain.advance([[await signed(chain, { chainId: 81_920, nonce: 0 }, addressOf(third))], []])
    expect(receipts[0]?.gasUsed).toBe(21_000n + 25_000n - (21_000n + 25_000n) / 5n)
  })
})

describe('the trigger decoder', () => {
  test('charges by length before it looks, and reverts with the code of what is wrong', () => {
    const decode = triggerDecoder(10_000_000n)
    const poor = decode(new Uint8Array(100), 100n)
    expect(poor).toMatchObject({ error: 'OUT_OF_GAS', gasUsed: 100n })
    const malformed = decode(new Uint8Array(100), 1_000_000n)
    expect(malformed.error).toBe('REVERT')
    expect(malformed.gasUsed).toBe(12_000n + 30n * 100n)
    expect(Buffer.from(malformed.returnValue).toString()).toMatch(/^[A-Z_]+$/)
    const registration = (maxFires: number): Uint8Array =>
      concatBytes(new Uint8Array(64), encodeDescription({ ...DAILY, limits: { ...DAILY.limits, maxFires } }))
    expect(decode(registration(1), 1_000_000n)).not.toHaveProperty('error')
    const senseless = decode(registration(0), 1_000_000n)
    expect(senseless.error).toBe('REVERT')
    expect(Buffer.from(senseless.returnValue).toString()).toBe('MAX_FIRES')
  })

  test('is a contract that transactions can call and that has code', async () => {
    const chain = new ChainFixture({ precompiles: new Map([[TRIGGER_DECODER, triggerDecoder(10_000_000n)]]) })
    expect(chain.view.code(TRIGGER_DECODER)).toHaveLength(1)
    const { receipts } = await chain.advance([
      [await chain.sign(first, { nonce: 0, to: TRIGGER_DECODER, data: '0x00', gas: 100_000n })],
      [],
    ])
    expect(receipts[0]?.status).toBe(0)
  })
})

describe('rewards', () => {
  const input = new ChainFixture().input([[], []])

  test('never pay out more than there is, whatever the numbers', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 26n }),
        fc.bigInt({ min: 0n, max: 10n ** 20n }),
        fc.bigInt({ min: 0n, max: 10n ** 20n }),
        fc.bigInt({ min: 0n, max: 10n ** 20n }),
        (reserveWei, one, two, base) => {
          const transfers = blockTransfers(
            input,
            validators,
            { reserveWei, emissionRate: 2_318_422n, tipsWei: [one, two], omitted: new Set() },
            one + two + base,
          )
          const from = (payer: Address) =>
            transfers.filter((transfer) => transfer.from === payer).reduce((sum, { amountWei }) => sum + amountWei, 0n)
          expect(from(FEE_COLLECTOR)).toBe(one + two + base)
          expect(from(NODE_RESERVE)).toBeLessThanOrEqual((reserveWei * 2_318_422n) >> 48n)
          expect(transfers.every(({ amountWei }) => amountWei > 0n)).toBe(true)
        },
      ),
    )
  })

  test('give nothing to a co-signer or voter that is no validator', () => {
    const stranger: Address = `0x${'66'.repeat(20)}`
    const padded = { ...input, voters: [stranger], coSigners: [[stranger], [stranger]] }
    const transfers = blockTransfers(
      padded,
      validators,
      { reserveWei: 10n ** 24n, emissionRate: 2_318_422n, tipsWei: [1000n, 1000n], omitted: new Set() },
      2000n,
    )
    expect(transfers.some(({ to }) => to === stranger)).toBe(false)
  })
})
