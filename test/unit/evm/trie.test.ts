/** Trie roots and proofs against @ethereumjs/mpt. Source: Ethereum yellow paper, appendix D. @module */
import { createMPT, MerklePatriciaTrie, verifyMPTWithMerkleProof } from '@ethereumjs/mpt'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toHex } from '#node/evm/hex.ts'
import { toNibbles } from '#node/evm/trie-node.ts'
import { createNodeReader, EMPTY_ROOT, encodeTrie, listRoot, trieGet, trieUpdate } from '#node/evm/trie.ts'
import type { TrieChange } from '#node/evm/trie.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import type { Hash } from '#shared/types.ts'
import { MemoryNodes, stateWith, suite } from '#test/unit/evm/support.ts'

/** Keys of one length that share prefixes often, so that extensions and splits appear. */
const key = fc.array(fc.constantFrom(0x00, 0x01, 0x10, 0x11, 0xff), { minLength: 3, maxLength: 3 }).map((bytes) => Uint8Array.from(bytes))
const value = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.uint8Array({ minLength: 33, maxLength: 40 }))
const batch = fc.uniqueArray(fc.tuple(key, fc.option(value)), { maxLength: 30, selector: ([bytes]) => toHex(bytes) })

/** Applies a batch, stores the new nodes and returns the root; `capacity` bounds the decoded nodes kept. */
function apply(store: MemoryNodes, root: Hash, changes: readonly TrieChange[], capacity = 1000): Hash {
  const { read } = createNodeReader(store, capacity)
  const updated = trieUpdate(root === EMPTY_ROOT ? null : root, changes, read)
  return encodeTrie(updated, suite.keccak256, (hash, rlp) => store.nodes.set(hash, rlp))
}

describe('the state trie', () => {
  test('has the roots of the reference implementation after any batches of writes and deletions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 5 }), async (batches) => {
        const store = new MemoryNodes()
        const reference = await createMPT()
        let root = EMPTY_ROOT
        for (const changes of batches) {
          root = apply(
            store,
            root,
            changes.map(([bytes, written]) => ({ path: toNibbles(bytes), value: written })),
          )
          for (const [bytes, written] of changes) await (written === null ? reference.del(bytes) : reference.put(bytes, written))
          expect(root).toBe(toHex(reference.root()))
        }
      }),
      { numRuns: 150 },
    )
  })

  test('keeps every earlier root readable', () => {
    fc.assert(
      fc.property(fc.array(batch, { minLength: 2, maxLength: 4 }), (batches) => {
        const store = new MemoryNodes()
        const content = new Map<string, Uint8Array>()
        const history: { root: Hash; content: Map<string, Uint8Array> }[] = []
        let root = EMPTY_ROOT
        for (const changes of batches) {
          root = apply(
            store,
            root,
            changes.map(([bytes, written]) => ({ path: toNibbles(bytes), value: written })),
          )
          for (const [bytes, written] of changes) {
            if (written === null) content.delete(toHex(bytes))
            else content.set(toHex(bytes), written)
          }
          history.push({ root, content: new Map(content) })
        }
        const { read } = createNodeReader(store, 2)
        for (const past of history) {
          for (const [hex, expected] of past.content) {
            const found = trieGet(past.root === EMPTY_ROOT ? null : past.root, toNibbles(Buffer.from(hex.slice(2), 'hex')), read)
            expect(found).toEqual(expected)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  test('hashes lists of transactions as Ethereum does', async () => {
    for (const count of [0, 1, 2, 17, 130]) {
      const items = Array.from({ length: count }, (_, index) => Uint8Array.from({ length: 20 + index }, () => index))
      const reference = new MerklePatriciaTrie()
      for (const [index, item] of items.entries()) await reference.put(encodeRlp(index), item)
      expect(listRoot(items, suite.keccak256)).toBe(toHex(reference.root()))
    }
  })
})

describe('state proofs', () => {
  const account = `0x${'aa'.repeat(20)}` as const
  const slot: Hash = `0x${'07'.padStart(64, '0')}`
  const others = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`0x${index.toString(16).padStart(40, '0')}`, { balanceWei: 5n }]),
  )
  const slots = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`0x${index.toString(16).padStart(64, '0')}`, Uint8Array.of(index + 1)]),
  )
  const { db, root } = stateWith({ ...others, [account]: { balanceWei: 9n, nonce: 3n, storage: slots } })

  test('convince the reference verifier of an account and of its slots', async () => {
    const proof = db.proof(root, account, [slot])
    const storageRoot = db.account(root, account)?.storageRoot ?? EMPTY_ROOT
    const leaf = await verifyMPTWithMerkleProof(
      new MerklePatriciaTrie(),
      Buffer.from(root.slice(2), 'hex'),
      suite.keccak256(Buffer.from(account.slice(2), 'hex')),
      [...proof.account],
    )
    expect(leaf).toEqual(encodeRlp([3, 9, storageRoot, toHex(suite.keccak256(new Uint8Array(0)))]))
    const stored = await verifyMPTWithMerkleProof(
      new MerklePatriciaTrie(),
      Buffer.from(storageRoot.slice(2), 'hex'),
      suite.keccak256(Buffer.from(slot.slice(2), 'hex')),
      [...(proof.slots[0] ?? [])],
    )
    expect(stored).toEqual(encodeRlp(8))
  })

  test('prove that an account is absent', async () => {
    const absent = `0x${'bb'.repeat(20)}` as const
    const proof = db.proof(root, absent, [])
    const leaf = await verifyMPTWithMerkleProof(
      new MerklePatriciaTrie(),
      Buffer.from(root.slice(2), 'hex'),
      suite.keccak256(Buffer.from(absent.slice(2), 'hex')),
      [...proof.account],
    )
    expect(leaf).toBeNull()
  })
})

test('portable and native Keccak agree, so do the roots they make', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { maxLength: 20 }), (items) => {
      expect(listRoot(items, nobleSuite.keccak256)).toBe(listRoot(items, suite.keccak256))
    }),
    { numRuns: 30 },
  )
})
