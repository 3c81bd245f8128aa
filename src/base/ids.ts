/**
 * Branded identifiers: numbers and strings that must never be mixed up.
 * They cost nothing at run time; `as` at the edge where a value was validated is the only way to make one.
 */
declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A server process with one data directory; given by the cluster, from 1. */
export type NodeId = Brand<number, 'NodeId'>
/** A key span's Raft group; 1 is the meta range. */
export type RangeId = Brand<number, 'RangeId'>
/** One placement of a range on a node; unique within its range, never used again. */
export type ReplicaId = Brand<number, 'ReplicaId'>
/** One start of a node: a random safe integer, new at every process start. */
export type BootId = Brand<number, 'BootId'>
/** 32 hex digits, drawn once when a cluster is initialised. */
export type ClusterId = Brand<string, 'ClusterId'>
/** A client session: 22 characters of base64url (128 random bits). */
export type SessionId = Brand<string, 'SessionId'>
/** Raft term, from 1; 0 before the first election. */
export type Term = Brand<number, 'Term'>
/** Raft log index, from 1; 0 is the place before the first entry. */
export type LogIndex = Brand<number, 'LogIndex'>
/** Hybrid timestamp in 53 bits: milliseconds * 2048 + counter. See version.ts. */
export type Version = Brand<number, 'Version'>
/** Counts the changes of a range's span (split, merge). */
export type Generation = Brand<number, 'Generation'>
/** Names one physical copy of a replica's state inside a node's state store; never reused on that node. */
export type StorageId = Brand<number, 'StorageId'>

/**
 * A stored key: four bytes of keyspace id (big endian), then the key's bytes, as a binary string (one character
 * per byte, each at most U+00FF). `<` on these strings is byte order, and they serve as Map keys as they are.
 */
export type Key = Brand<string, 'Key'>

export const META_RANGE = 1 as RangeId
export const NO_INDEX = 0 as LogIndex
export const NO_TERM = 0 as Term
export const NO_VERSION = 0 as Version
