/** What the key precompile runs on in a validator. @module */
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { judgeEvidence } from '#shared/dcrm/evidence.ts'
import type { DcrmHost } from '#shared/dcrm/precompile.ts'

/** Native arithmetic; signatures of evidence are judged by the chain's one rule for Ed25519. */
export function createKeyHost(suite: CryptoSuite): DcrmHost {
  const backend = createNativeBackend()
  return {
    backend,
    suite,
    judge: (accused, signKey, evidence) => judgeEvidence(backend, suite.ed25519Verify, accused, signKey, evidence),
  }
}
