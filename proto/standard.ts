/** What a master's port speaks, described in Protobuf's own terms: for reflection, and loaded when somebody asks for it. */
import { fileURLToPath } from 'node:url';
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import { messageShape } from './read-proto.ts';

let standard: PackageDefinition | undefined;

/** proto/standard/*.proto, gRPC's own services, and beside them proto/control.proto. Parsed once per process. */
export function loadStandard(): PackageDefinition {
  const files = ['standard/health.proto', 'standard/reflection.proto', 'control.proto'];
  standard ??= loadSync(
    files.map((file) => fileURLToPath(new URL(file, import.meta.url))),
    { ...messageShape, keepCase: false },
  );
  return standard;
}
