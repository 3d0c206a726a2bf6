/** The SDK: everything a dapp, a data provider or a reader needs, in one import. @module */
export { EdgeProblem, EdgeUnreachable } from '#node/sdk/edge-http.ts'
export type { PublishedBatch } from '#node/sdk/client.ts'
export { FusionClient, TriggerInvalid } from '#node/sdk/client.ts'
export { convicts, omissionProof, zProofFile } from '#node/sdk/proof.ts'
export { readOwner } from '#node/sdk/owner.ts'
export { addressOf, signBatch, signIntent } from '#node/sdk/signing.ts'
export { fromFixedPoint, toFixedPoint } from '#shared/oracle/decimal.ts'
