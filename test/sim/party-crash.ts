/**
 * Kills a signer with SIGKILL at every write it makes, before and after it, and starts it again over the same store with other messages. Whatever was
 * sent over all its lives: no presignature, and no nonce, for two messages. @module
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import { encodePresignature } from '#shared/dcrm/presignature.ts'
import type { KeyShare } from '#shared/dcrm/types.ts'
import { createPrng } from '#test/sim/prng.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import * as z from 'zod'

const zSent = z.object({ psid: z.string(), digest: z.string(), partial: z.string(), r: z.string() })
const CHILD = join(import.meta.dirname, 'party-crash-child.ts')
const LIVES = 3

export type CrashStage = Readonly<{ encodedKey: string; presignatures: readonly string[] }>

/** Presignatures of one signer of two. */
export function createCrashStage(): CrashStage {
  const backend = createNativeBackend()
  const shares = dealtShares('ecdsa', 2, [1, 2, 3], 'crash', backend)
  const set = [1, 2]
  const setup = runLockstep(
    new Map(set.map((self) => [self, pairSetupMachine({ backend, self, set, sid: seedOf('sid'), seed: seedOf(`setup ${self}`) })])),
  )
  const pairsOf = (self: number): PairSetupResult => {
    const outcome = setup.outcomes.get(self)
    if (outcome?.kind !== 'done') throw new Error('honest parties set up')
    return outcome.result
  }
  const made = runLockstep(
    new Map(
      set.map((self) => [
        self,
        presignMachine({
          backend,
          share: shares.get(self) as KeyShare,
          pairs: pairsOf(self),
          set,
          count: 3,
          sid: seedOf('presign'),
          seed: seedOf(`presign ${self}`),
        }),
      ]),
    ),
  )
  const outcome = made.outcomes.get(1)
  if (outcome?.kind !== 'done') throw new Error('honest parties presign')
  const key = shares.get(1)?.publicKey.commitments[0] ?? new Uint8Array(0)
  return { encodedKey: bytesToHex(key), presignatures: outcome.result.map((each) => bytesToHex(encodePresignature(each))) }
}

/** Runs one seed through its lives; what was violated. */
export function runCrashSeed(stage: CrashStage, seed: number): Readonly<{ sent: number; kills: number; violations: readonly string[] }> {
  const rng = createPrng(seed)
  const folder = mkdtempSync(join(tmpdir(), 'fusion-crash-'))
  const sent: z.infer<typeof zSent>[] = []
  let kills = 0
  try {
    for (let life = 0; life < LIVES; life++) {
      const job = join(folder, 'job.json')
      const killAt = life === LIVES - 1 ? 0 : 1 + rng.below(4)
      writeFileSync(job, JSON.stringify({ ...stage, seed: seed * 10 + life, killAt, isAfter: rng.chance(0.5) }))
      const { stdout, signal, stderr, status } = spawnSync(process.execPath, [CHILD, folder, job], { encoding: 'utf8' })
      if (signal === 'SIGKILL') kills++
      else if (status !== 0) throw new Error(`the signer failed: ${stderr}`)
      for (const line of stdout.split('\n').filter((text) => text.endsWith('}'))) sent.push(zSent.parse(JSON.parse(line)))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { sent: sent.length, kills, violations: violationsOf(sent) }
}

function violationsOf(sent: readonly z.infer<typeof zSent>[]): readonly string[] {
  const byName = new Map<string, string>()
  const byNonce = new Map<string, string>()
  const violations: string[] = []
  for (const { psid, digest, partial, r } of sent) {
    const said = `${digest}/${partial}`
    if ((byName.get(psid) ?? said) !== said) violations.push(`presignature ${psid} was used for two messages`)
    if ((byNonce.get(r) ?? digest) !== digest) violations.push(`nonce ${r} was used for two messages`)
    byName.set(psid, said)
    byNonce.set(r, digest)
  }
  return violations
}
