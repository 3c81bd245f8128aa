import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GrpcObject, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const PROTO = `
syntax = "proto3";
package limit;
message Call { uint32 id = 1; bytes key = 2; bytes value = 3; bool read = 4; }
message Calls { repeated Call calls = 1; }
message Answer { uint32 id = 1; bytes value = 2; }
message Answers { repeated Answer answers = 1; }
message Records { uint64 first = 1; repeated bytes records = 2; uint64 committed = 3; }
message Stored { uint64 through = 1; }
service Node {
  rpc Serve(stream Calls) returns (stream Answers);
  rpc Replicate(stream Records) returns (stream Stored);
}`

/** The three messages a replicated write cannot do without. */
export function loadLimitService(): ServiceClientConstructor {
  const directory = mkdtempSync(join(tmpdir(), 'limit-proto-'))
  const file = join(directory, 'limit.proto')
  writeFileSync(file, PROTO)
  const definition = loadSync(file, { longs: Number, defaults: true })
  rmSync(directory, { recursive: true })
  return (loadPackageDefinition(definition).limit as GrpcObject).Node as ServiceClientConstructor
}
