/** Frozen transcripts: no change of code or backend may change a byte on the wire unnoticed. @module */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { keyTranscripts } from '#test/unit/dcrm/key-transcripts.ts'
import frozen from '#test/vectors/dcrm/key-transcripts.json' with { type: 'json' }

describe.each(['ecdsa', 'ed25519'] as const)('a seeded %s key', (scheme) => {
  it.each([
    ['portable', nobleBackend],
    ['native', createNativeBackend()],
  ])('is generated, refreshed, reshared and recovered by the %s backend in exactly the frozen messages', (_name, backend) => {
    expect(keyTranscripts(scheme, backend)).toEqual(frozen[scheme])
  })
})
