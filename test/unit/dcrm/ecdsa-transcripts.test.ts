/** Frozen transcript of one ECDSA signature: no change of code or backend may change a byte on the wire unnoticed. @module */
import { expect, it } from 'vitest'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { ecdsaTranscripts } from '#test/unit/dcrm/ecdsa-transcripts.ts'
import { native } from '#test/unit/dcrm/presign-support.ts'
import frozen from '#test/vectors/dcrm/ecdsa-transcripts.json' with { type: 'json' }

it.each([
  ['portable', nobleBackend],
  ['native', native],
])('the %s backend sets up, presigns, signs and blames in exactly the frozen messages', (_name, backend) => {
  expect(ecdsaTranscripts(backend)).toEqual(frozen)
})
