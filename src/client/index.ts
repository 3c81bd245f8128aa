export { type ErrorCode, errorCatalogue, errorCodes, HoldfastError } from '../base/errors.js'
export type { TupleElement } from '../base/tuple.js'
export type { Codec } from '../kv/types.js'
export { initCluster } from '../transport/connector.js'
export { ConditionFailed, type ConditionOptions, type FailedCheck } from './conditions.js'
export { type ConnectOptions, connect } from './connect.js'
export { type Consistency, type ConsistencyOptions, consistencies } from './consistency.js'
export { type JsonElement, type JsonForm, type JsonKey, keyFromJson, keyToJson } from './key-json.js'
export { type DecodedKey, encodeKey as storedKeyOf, type KeyInput, type Namespace } from './keys.js'
export type { SpanOptions } from './spans.js'
export type { ClusterStatus, NodeReport, RangeInfo, RangeReport, ReplicaReport } from './status.js'
export type {
  BatchOperation,
  BatchOptions,
  CallLimits,
  DeleteOptions,
  Entry,
  Holdfast,
  PutOptions,
  ReadOptions,
  ScanOptions,
} from './types.js'
export { valueFromJson, valueToJson } from './value-json.js'
