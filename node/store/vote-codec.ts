/** Storage form of the votes that made a checkpoint final. @module */
import { decodeByteList, encodeByteList } from '#node/store/receipt-codec.ts'
import { decodeVote, encodeVote } from '#shared/hhcm/codec.ts'
import type { Vote } from '#shared/hhcm/types.ts'

/** Votes of one final checkpoint. */
export const encodeVotes = (votes: readonly Vote[]): Uint8Array => encodeByteList(votes.map(encodeVote))

/** @throws {DecodeError} when the record is damaged */
export const decodeVotes = (bytes: Uint8Array): readonly Vote[] => decodeByteList(bytes).map(decodeVote)
