/** A chain with nothing else to do makes blocks while keys or signatures wait, and rests when they do not. @module */
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import { AUTHOR, FSN, NativeChain, OWNER, PROVIDERS, addressOf } from '#test/unit/native/native-chain.ts'
import { encodeFunctionData } from 'viem'
import { expect, it } from 'vitest'

it('an order of a key asks for blocks until its last attempt could have been made', async () => {
  const chain = new NativeChain(1, AUTHOR, PROVIDERS.map(addressOf))
  const wants = () => chain.natives.hasDue(chain.header, chain.header.slot + 1)
  for (const party of PROVIDERS.slice(0, 2)) {
    const args = [`0x${'11'.repeat(32)}`, `0x${'22'.repeat(32)}`, ''] as const
    const data = encodeFunctionData({ abi: keyManagerAbi, functionName: 'registerParty', args })
    await chain.settle(await chain.sign(party, { to: KEY_MANAGER, data, value: 10n * FSN }))
  }
  expect(await wants()).toBe(false)
  const data = encodeFunctionData({ abi: keyManagerAbi, functionName: 'requestKey', args: [0, 2, 2] })
  await chain.settle(await chain.sign(OWNER, { to: KEY_MANAGER, data, value: FSN }))
  for (let block = 0; block < 4 + 12 * 20; block++) {
    expect(await wants()).toBe(true)
    await chain.block()
  }
  expect(await wants()).toBe(false)
})
