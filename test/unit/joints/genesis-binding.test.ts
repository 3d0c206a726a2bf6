/**
 * What is signed for one chain is worth nothing on another that differs in nothing but its genesis: same validators, accounts, chain id,
 * even the same blocks. Otherwise a network started afresh would obey, and punish, what was signed for the one before it.
 * @module
 */
import { decodeNativeTransaction } from '#node/pool/native-transaction.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { encodeVote } from '#shared/hhcm/codec.ts'
import { verifyEvidence } from '#shared/hhcm/evidence.ts'
import { step } from '#shared/hhcm/step.ts'
import type { Evidence, HhcmConfig, WireMessage } from '#shared/hhcm/types.ts'
import { batchFault } from '#shared/oracle/batch.ts'
import { depositFact, factFault } from '#shared/oracle/fact.ts'
import { recoverSigner, toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest } from '#shared/oracle/transaction.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import { verifyAttestation } from '#shared/oracle/verify-attestation.ts'
import { intentDigest, intentDomain } from '#shared/trigger/intents.ts'
import type { Intent } from '#shared/trigger/intents.ts'
import { decodeTriggerTx, triggerTxSubmitter } from '#shared/trigger/transaction.ts'
import type { Hash } from '#shared/types.ts'
import {
  certificate,
  cluster,
  config,
  makeBlock,
  makeCoSignature,
  makePackage,
  makeVote,
  otherMember,
  parcel,
  sealed,
  watcher,
} from '#test/unit/hhcm/judge.ts'
import * as oracle from '#test/unit/oracle/fixture.ts'
import { addressOf, createTestPool } from '#test/unit/pool/fake-chain.ts'
import { attestation, trigger } from '#test/unit/pool/native.ts'
import { hashOf } from '#test/unit/store/blocks.ts'
import { describe, expect, it } from 'vitest'

const OTHER: Hash = hashOf('another genesis')
const elsewhere: HhcmConfig = { ...config, genesisHash: OTHER }
const [provider] = oracle.accounts
if (provider === undefined) throw new Error('accounts exist')

/** Faults that a machine on the same head finds in a message, by the genesis it was started with. */
function faultsUnder(genesis: HhcmConfig, message: WireMessage): string[] {
  const { effects } = step(genesis, structuredClone(watcher.state), { kind: 'message', from: 'peer', message }, watcher.crypto)
  return effects.flatMap((effect) => (effect.kind === 'fault' ? [effect.fault] : []))
}

describe('a consensus object signed for another genesis', () => {
  it.each<[string, WireMessage]>([
    ['VOTE_SIGNATURE', { kind: 'vote', vote: makeVote({}) }],
    ['PACKAGE_SIGNATURE', { kind: 'package', package: makePackage({}) }],
    ['PACKAGE_SIGNATURE', { kind: 'certificate', certificate }],
    ['BLOCK_SIGNATURE', { kind: 'block', block: makeBlock({}) }],
  ])('is refused with %s', (fault, message) => {
    expect(faultsUnder(config, message)).toEqual([])
    expect(faultsUnder(elsewhere, message)).toEqual([fault])
  })

  it('is refused as a co-signature by the author it is meant for', () => {
    const author = cluster.nodes.find(({ config: { self } }) => self === parcel.header.author)
    if (author === undefined) throw new Error('the author is a node')
    const faultsOf = (genesis: HhcmConfig): string[] => {
      const state = structuredClone(author.state)
      if (state.round.own === null) throw new Error('the author has a package')
      state.round.own.isCertified = false
      state.round.own.coSignatures.clear()
      const message: WireMessage = { kind: 'coSignature', coSignature: makeCoSignature(otherMember, parcel.header) }
      const { effects } = step(
        { ...author.config, ...genesis, self: author.config.self },
        state,
        { kind: 'message', from: 'p', message },
        author.crypto,
      )
      return effects.flatMap((effect) => (effect.kind === 'fault' ? [effect.fault] : []))
    }
    expect(faultsOf(config)).toEqual([])
    expect(faultsOf(elsewhere)).toEqual(['CO_SIGNATURE'])
  })

  it('convicts nobody there: a validator of both chains votes once on each', () => {
    const voter = makeVote({}).voter
    const evidence: Evidence = {
      offence: 'DOUBLE_VOTE',
      offender: voter,
      first: encodeVote(makeVote({})),
      second: encodeVote(makeVote({ target: { slot: 3, blockHash: sealed.hash } })),
    }
    expect(verifyEvidence(config, evidence, watcher.crypto)).toBe(true)
    expect(verifyEvidence(elsewhere, evidence, watcher.crypto)).toBe(false)
  })
})

describe('an oracle object signed for another genesis', () => {
  it('is refused as a batch and as a fact', async () => {
    const batch = await oracle.signBatch(provider, oracle.batchAt(7, [oracle.leaf(oracle.feedA, 5n)]))
    expect(batchFault(batch, oracle.ROUND_MS, oracle.genesisHash, oracle.suite)).toBeNull()
    expect(batchFault(batch, oracle.ROUND_MS, OTHER, oracle.suite)).toBe('SIGNATURE_INVALID')
    const deposit = {
      chain: 1n,
      txid: OTHER,
      from: addressOf(0),
      to: addressOf(1),
      amountWei: 1n,
      height: 1,
      blockHash: OTHER,
      confirmations: 1,
    }
    const fact = await oracle.signFact(provider, depositFact(oracle.setId, 1, deposit, oracle.suite))
    expect(factFault(fact, oracle.genesisHash, oracle.suite)).toBeNull()
    expect(factFault(fact, OTHER, oracle.suite)).toBe('SIGNATURE_INVALID')
  })

  it('is refused as a 0x47, also when somebody submits the old batches in a new one', async () => {
    const set = oracle.sourceSet(1)
    const round = 7
    const batches = [await oracle.signBatch(provider, oracle.batchAt(round, [oracle.leaf(oracle.feedA, 5n)]))]
    const tx = await oracle.signAttestation(provider, { chainId: oracle.chainId, sourceSet: set.id, shard: 0, round, batches })
    const verdictOn = (one: AttestationTx, genesisHash: Hash): string => {
      const context = { chainId: oracle.chainId, genesisHash, blockTimeMs: (round + 2) * oracle.ROUND_MS, lastRound: 0 }
      const verdict = verifyAttestation(one, set, context, oracle.suite)
      return verdict.ok ? 'ok' : verdict.code
    }
    expect(verdictOn(tx, oracle.genesisHash)).toBe('ok')
    expect(verdictOn(tx, OTHER)).toBe('SUBMITTER_SIGNATURE')
    const signature = toCanonicalSignature(await provider.sign({ hash: bytesToHex(attestationTxDigest(tx, OTHER, oracle.suite)) }))
    expect(verdictOn({ ...tx, signature }, OTHER)).toBe('SIGNATURE_INVALID')
  })

  it('does not enter a pool as a 0x47', async () => {
    const raw = await attestation(7, 3)
    expect(decodeNativeTransaction(raw, oracle.genesisHash, nobleSuite).kind).toBe('attestation')
    expect(() => decodeNativeTransaction(raw, OTHER, nobleSuite)).toThrow('SIGNATURE_INVALID')
  })
})

describe('a trigger object signed for another genesis', () => {
  it('names another submitter as a 0x46, whom the pool does not know', async () => {
    const raw = await trigger(0, {}, OTHER)
    expect(triggerTxSubmitter(decodeTriggerTx(raw), OTHER, nobleSuite)).toBe(addressOf(0))
    const { pool } = createTestPool()
    expect(await pool.add(raw, 'gossip')).toMatchObject({ code: 'SIGNER_BALANCE' })
    expect(pool.size()).toBe(0)
  })

  it('is nobody’s intent', async () => {
    const owner = oracle.addressOf(provider)
    const intent: Intent = { kind: 'Pause', message: { owner, id: OTHER, relayFeeWei: 0n, nonce: 0n, deadline: 1n } }
    const { chainId, genesisHash, suite } = oracle
    const digest = (genesis: Hash, chain = chainId) => intentDigest(intent, intentDomain(chain, genesis), suite)
    const signature = toCanonicalSignature(await provider.sign({ hash: bytesToHex(digest(genesisHash)) }))
    expect(recoverSigner(digest(genesisHash), signature, suite)).toBe(owner)
    expect(recoverSigner(digest(OTHER), signature, suite)).not.toBe(owner)
    expect(recoverSigner(digest(genesisHash, 1), signature, suite)).not.toBe(owner)
  })
})
