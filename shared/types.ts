/** Aliases of the domain, used on both sides of every boundary. @module */

/** Lower-case `0x` hex of any even length. */
export type Hex = `0x${string}`
/** 20 bytes, lower-case hex. Checksummed forms exist at user interfaces only. */
export type Address = Hex
/** 32 bytes, lower-case hex. */
export type Hash = Hex
/** Slot number: `floor((unixMs − genesisTimeMs) / slotMs)`; genesis is slot 0. */
export type Slot = number
/** Block number; genesis is 0. */
export type Height = number
/** Integer milliseconds since the Unix epoch. */
export type UnixMs = number
/** An amount of FSN in its smallest unit, 1e-18 FSN. */
export type Wei = bigint
/** Position of a lane: 0 ≤ lane < laneCount. */
export type Lane = number
