/**
 * The calling list as somebody sees it who holds a header and nothing else: proofs under the state root show how many rows there are and
 * each of them, checked by another trie. Slots follow Solidity's layout: `bytes32[] ids` in slot 1, `mapping(bytes32 => Row) rows` in slot 2.
 * @module
 */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Header } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { NativeChain, OWNER, owner } from '#test/unit/native/native-chain.ts'
import { MerklePatriciaTrie, verifyMPTWithMerkleProof } from '@ethereumjs/mpt'
import { RLP } from '@ethereumjs/rlp'
import { concat, keccak256, toHex } from 'viem'
import { describe, expect, it } from 'vitest'

const word = (value: bigint): Hash => toHex(value, { size: 32 })
const COUNT: Hash = word(1n)
const idSlot = (index: bigint): Hash => word(BigInt(keccak256(COUNT)) + index)
const rowSlot = (id: Hash): Hash => keccak256(concat([id, word(2n)]))

const leafOf = (root: Hash, key: Hash, proof: readonly Uint8Array[]): Promise<Uint8Array | null> =>
  verifyMPTWithMerkleProof(new MerklePatriciaTrie(), hexToBytes(root), hexToBytes(keccak256(key)), [...proof])

/** Words of the list that a header proves. */
async function proven(chain: NativeChain, { stateRoot }: Header, slots: readonly Hash[]): Promise<bigint[]> {
  const proof = chain.fixture.state.proof(stateRoot, CALLING_LIST, slots)
  const account = RLP.decode((await leafOf(stateRoot, CALLING_LIST, proof.account)) ?? new Uint8Array())
  const storageRoot = bytesToHex(account[2] as Uint8Array)
  const leaves = await Promise.all(slots.map((slot, index) => leafOf(storageRoot, slot, proof.slots[index] ?? [])))
  return leaves.map((leaf) => (leaf === null ? 0n : BigInt(bytesToHex(RLP.decode(leaf) as Uint8Array))))
}

describe('a header proves the calling list', () => {
  it('its length, every id in it, and that a row belongs to its owner or is absent', async () => {
    const chain = new NativeChain()
    const headers = [chain.header]
    const active = onEvent('active', { to: `0x${'77'.repeat(20)}`, signature: 'go()', types: [], args: [] })
    const ids: Hash[] = []
    for (const name of ['first', 'second']) {
      ids.push(await chain.register({ ...active, name }))
      headers.push(chain.header)
    }
    for (const [count, header] of headers.entries())
      expect(await proven(chain, header, [COUNT, idSlot(0n), idSlot(1n)])).toEqual([
        BigInt(count),
        ...[0, 1].map((at) => (at < count ? BigInt(ids[at] ?? 0) : 0n)),
      ])
    const rows = await proven(chain, chain.header, [...ids.map(rowSlot), rowSlot(word(9n))])
    expect(rows.map((row) => toHex(row & ((1n << 160n) - 1n), { size: 20 }))).toEqual([owner, owner, `0x${'00'.repeat(20)}`])
  })

  it('stays complete when a row is cancelled: ids are never taken out', async () => {
    const chain = new NativeChain()
    const id = await chain.register(onEvent('active', { to: `0x${'77'.repeat(20)}`, signature: 'go()', types: [], args: [] }))
    await chain.settle(await chain.sign(OWNER, chain.call('cancel', [id])))
    expect(await proven(chain, chain.header, [COUNT, idSlot(0n)])).toEqual([1n, BigInt(id)])
  })

  it('does not take a proof of another block', async () => {
    const chain = new NativeChain()
    const before = chain.header
    await chain.register(onEvent('active', { to: `0x${'77'.repeat(20)}`, signature: 'go()', types: [], args: [] }))
    const { account } = chain.fixture.state.proof(chain.header.stateRoot, CALLING_LIST, [])
    await expect(leafOf(before.stateRoot, CALLING_LIST, account)).rejects.toThrow(/proof/i)
  })
})
