import { fileURLToPath } from 'node:url'
import loader from '@grpc/proto-loader'

/** The folder of .proto files in the package, seen from the compiled file (dist/src/transport). */
export const protoFolder = fileURLToPath(new URL('../../../proto/', import.meta.url))

/** Definitions for reflection: what the hand-written codecs must agree with, which a test checks field by field. */
export function loadDefinitions(file: 'holdfast/v1/holdfast.proto' | 'holdfast/peer/v1/peer.proto') {
  return loader.loadSync(file, { includeDirs: [protoFolder], longs: String, oneofs: true })
}
