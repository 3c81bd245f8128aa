import grpc from '@grpc/grpc-js'
import { limits } from '../base/limits.js'

/**
 * Messages are encoded before they are given to grpc and decoded after it: their size in bytes is known when they are
 * queued, and a malformed one can be answered by name instead of ending the call.
 */
const asIs = (bytes: Buffer): Buffer => bytes

export type Method = grpc.MethodDefinition<Buffer, Buffer>

function method(path: string, streams: boolean): Method {
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  }
}

const unary = (path: string): Method => method(path, false)

export const streamMethods = { connect: method('/holdfast.v1.Stream/Connect', true) }

export const keyValueMethods = {
  get: unary('/holdfast.v1.KeyValue/Get'),
  getMany: unary('/holdfast.v1.KeyValue/GetMany'),
  put: unary('/holdfast.v1.KeyValue/Put'),
  delete: unary('/holdfast.v1.KeyValue/Delete'),
  batch: unary('/holdfast.v1.KeyValue/Batch'),
  scan: unary('/holdfast.v1.KeyValue/Scan'),
}

export const adminMethods = {
  init: unary('/holdfast.v1.Admin/Init'),
  split: unary('/holdfast.v1.Admin/Split'),
  transfer: unary('/holdfast.v1.Admin/Transfer'),
  status: unary('/holdfast.v1.Admin/Status'),
}

export const peerMethods = {
  session: method('/holdfast.peer.v1.Peer/Session', true),
  join: unary('/holdfast.peer.v1.Peer/Join'),
  birth: unary('/holdfast.peer.v1.Peer/Birth'),
  identify: unary('/holdfast.peer.v1.Peer/Identify'),
}

const sizes = {
  'grpc.max_receive_message_length': limits.messageBytesMax,
  'grpc.max_send_message_length': limits.messageBytesMax,
  'grpc.enable_channelz': 0,
}

export const serverOptions: grpc.ServerOptions = {
  ...sizes,
  'grpc.max_concurrent_streams': 1_024,
  // Who opens a connection and speaks no HTTP/2, or was told to go and stays, answers no ping: its place is given free.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 20_000,
}

export const channelOptions: grpc.ChannelOptions = {
  ...sizes,
  // Channels to one address share one connection otherwise.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  // Above this a write's callback comes when the bytes have left, not at once: what counts them stays honest.
  'grpc.per_rpc_retry_buffer_size': 16 * 1024,
  // Nodes are dialled by address, whatever the environment says of proxies and DNS of service configurations.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
}

export function newClient(address: string): grpc.Client {
  return new grpc.Client(address, grpc.credentials.createInsecure(), channelOptions)
}
