/**
 * Makes proto/gen/<name>.ts from proto/<name>.proto: one interface per message as proto/load.ts gives it, and per service
 * the types of its definition, its client and its handlers. With `--check` nothing is written and stale files fail.
 *
 * Not proto-loader's own generator: its two types per message and a file each make every use site longer than the
 * message, and its imports do not run under type stripping.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MessageTypeDefinition, MethodDefinition, PackageDefinition, ServiceDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import { messageShape } from '../proto/read-proto.ts';

interface FieldDescriptor {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
  readonly oneofIndex: number;
}

interface MessageDescriptor {
  readonly name: string;
  readonly field: readonly FieldDescriptor[];
  readonly oneofDecl: readonly { readonly name: string }[];
}

const protoDir = fileURLToPath(new URL('../proto/', import.meta.url));

const scalarTypes = new Map([
  ['TYPE_STRING', 'string'],
  ['TYPE_BOOL', 'boolean'],
  ['TYPE_BYTES', 'Uint8Array'],
  ['TYPE_INT32', 'number'],
  ['TYPE_UINT32', 'number'],
  ['TYPE_INT64', 'number'],
  ['TYPE_UINT64', 'number'],
  ['TYPE_FLOAT', 'number'],
  ['TYPE_DOUBLE', 'number'],
]);

/** The TypeScript of one .proto file. */
function generate(fileName: string): string {
  const definition = loadSync(`${protoDir}${fileName}`, { ...messageShape, keepCase: false });
  const messages: string[] = [];
  const services: string[] = [];
  for (const [qualifiedName, entry] of Object.entries(definition)) {
    const name = qualifiedName.slice(qualifiedName.lastIndexOf('.') + 1);
    if (isMessage(entry)) messages.push(messageType(entry));
    else if (!('format' in entry)) services.push(serviceTypes(name, entry));
    else throw new Error(`${fileName}: ${qualifiedName} is an enum; use strings in the protocol instead`);
  }
  const head = `// Made from proto/${fileName} by \`npm run gen\`. Do not edit.`;
  const imports = services.length === 0 ? '' : grpcImports(services.join('\n'));
  return `${[head + (imports === '' ? '' : `\n${imports}`), ...messages, ...services].join('\n\n')}\n`;
}

function isMessage(entry: PackageDefinition[string]): entry is MessageTypeDefinition<object, object> {
  return 'format' in entry && entry.format === 'Protocol Buffer 3 DescriptorProto';
}

function messageType(entry: MessageTypeDefinition<object, object>): string {
  const message = entry.type as MessageDescriptor;
  if (message.field.length === 0) return `export type ${message.name} = Record<string, never>;`;
  // The descriptor gives index 0 also to fields outside every oneof; only those have a default when nothing came.
  const plain = new Set(Object.keys(entry.deserialize(Buffer.alloc(0))));
  const lines: string[] = [];
  for (const field of message.field) {
    const type = fieldType(message, field);
    if (!plain.has(field.name)) lines.push(`  ${field.name}?: ${type};`);
    else if (field.label === 'LABEL_REPEATED') lines.push(`  ${field.name}: ${type}[];`);
    else lines.push(`  ${field.name}: ${type}${field.type === 'TYPE_MESSAGE' ? ' | null' : ''};`);
  }
  message.oneofDecl.forEach((oneof, index) => {
    const names = message.field
      .filter((field) => !plain.has(field.name) && field.oneofIndex === index)
      .map((field) => `'${field.name}'`);
    lines.push(`  /** Which of ${names.join(', ')} is there. */\n  ${oneof.name}?: ${names.join(' | ')};`);
  });
  return `export interface ${message.name} {\n${lines.join('\n')}\n}`;
}

function fieldType(message: MessageDescriptor, field: FieldDescriptor): string {
  if (field.type === 'TYPE_MESSAGE') return field.typeName.slice(field.typeName.lastIndexOf('.') + 1);
  const type = scalarTypes.get(field.type);
  if (type === undefined) throw new Error(`${message.name}.${field.name}: no type for ${field.type}`);
  return type;
}

function serviceTypes(name: string, service: ServiceDefinition): string {
  const definition: string[] = [];
  const client: string[] = [];
  const handlers: string[] = [];
  for (const [method, entry] of Object.entries(service)) {
    const types = `${typeOf(entry.requestType)}, ${typeOf(entry.responseType)}`;
    const call = callTypes(entry);
    definition.push(`  readonly ${method}: MethodDefinition<${types}>;`);
    handlers.push(`  ${method}: ${call.handler}<${types}>;`);
    const callName = method.charAt(0).toLowerCase() + method.slice(1);
    client.push(
      call.isUnary
        ? `  ${callName}(\n    request: ${typeOf(entry.requestType)},\n    metadata: Metadata,\n    options: Partial<CallOptions>,\n    callback: requestCallback<${typeOf(entry.responseType)}>,\n  ): ClientUnaryCall;`
        : `  ${callName}(metadata?: Metadata, options?: Partial<CallOptions>): ClientDuplexStream<${types}>;`,
    );
  }
  return [
    `export type ${name}Definition = {\n${definition.join('\n')}\n};`,
    `export interface ${name}Client extends Client {\n${client.join('\n')}\n}`,
    `export interface ${name}Handlers extends UntypedServiceImplementation {\n${handlers.join('\n')}\n}`,
  ].join('\n\n');
}

function callTypes(method: MethodDefinition<object, object>): { readonly handler: string; readonly isUnary: boolean } {
  if (method.requestStream !== method.responseStream)
    throw new Error(`${method.path}: one-sided streams are not generated`);
  return method.requestStream
    ? { handler: 'handleBidiStreamingCall', isUnary: false }
    : { handler: 'handleUnaryCall', isUnary: true };
}

function typeOf(message: MethodDefinition<object, object>['requestType']): string {
  return (message.type as MessageDescriptor).name;
}

function grpcImports(text: string): string {
  const all = [
    'CallOptions',
    'Client',
    'ClientDuplexStream',
    'ClientUnaryCall',
    'Metadata',
    'MethodDefinition',
    'UntypedServiceImplementation',
    'handleBidiStreamingCall',
    'handleUnaryCall',
    'requestCallback',
  ];
  const used = all.filter((name) => new RegExp(`\\b${name}\\b`).test(text));
  return `import type {\n${used.map((name) => `  ${name},`).join('\n')}\n} from '@grpc/grpc-js';`;
}

let stale = 0;
for (const fileName of readdirSync(protoDir)
  .filter((name) => name.endsWith('.proto'))
  .sort()) {
  const path = `${protoDir}gen/${fileName.replace(/\.proto$/, '.ts')}`;
  const text = generate(fileName);
  if (process.argv.includes('--check')) {
    let current = '';
    try {
      current = readFileSync(path, 'utf8');
    } catch {
      // A missing file is a stale one.
    }
    if (current === text) continue;
    console.error(
      `proto/gen/${fileName.replace(/\.proto$/, '.ts')} is not what proto/${fileName} gives; run: npm run gen`,
    );
    stale++;
  } else {
    writeFileSync(path, text);
  }
}
process.exitCode = stale === 0 ? 0 : 1;
