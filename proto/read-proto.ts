/**
 * Services and messages of a .proto file as grpc-js takes them, encoded and decoded by protobufjs. @grpc/proto-loader
 * does the same, and beside it describes every file in Protobuf's own terms, for reflection: a sixth of what a worker
 * needed to start. See standard.ts for who asks for that.
 */
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type { IConversionOptions, Type } from 'protobufjs';
import protobuf from 'protobufjs';

/**
 * How messages look: camel-cased fields, every field of a received message set (0, '', [], null for a message), of a
 * oneof only the one that came, with the oneof's name telling which. 64-bit integers are numbers: all of ours are safe.
 */
export const messageShape = {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
} as const satisfies IConversionOptions;

/** Bytes of one message type. */
export interface MessageCodec<T> {
  encode(value: T): Buffer;
  /** Throws: RangeError or Error for bytes that are no such message. */
  decode(bytes: Uint8Array): T;
}

export interface ProtoFile {
  /** By its full name. Throws: when the file has no such service. */
  service(name: string): ServiceDefinition;
  /** By its full name. Throws: when the file has no such message. */
  message<T extends object>(name: string): MessageCodec<T>;
}

/** Reads a file of this folder. Throws: what reading and parsing throw. */
export function readProto(fileName: string): ProtoFile {
  const root = new protobuf.Root();
  root.loadSync(fileURLToPath(new URL(fileName, import.meta.url)), { keepCase: false });
  root.resolveAll();
  return {
    service: (name) => {
      const { methodsArray } = root.lookupService(name);
      return Object.fromEntries(methodsArray.map((method) => [method.name, methodOf(method, `/${name}`)]));
    },
    message: <T extends object>(name: string) => codecOf<T>(root.lookupType(name)),
  };
}

function methodOf(method: protobuf.Method, path: string): MethodDefinition<object, object> {
  const { name, requestStream, responseStream, resolvedRequestType, resolvedResponseType } = method;
  if (resolvedRequestType === null || resolvedResponseType === null) throw new Error(`${name} has unknown messages`);
  const request = codecOf<object>(resolvedRequestType);
  const response = codecOf<object>(resolvedResponseType);
  return {
    path: `${path}/${name}`,
    requestStream: requestStream === true,
    responseStream: responseStream === true,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
    // What grpc-js also calls the method of a client: `Connect` is `connect`.
    originalName: `${name.charAt(0).toLowerCase()}${name.slice(1)}`,
  };
}

function codecOf<T extends object>(type: Type): MessageCodec<T> {
  return {
    // In Node, protobufjs writes into Buffers.
    encode: (value) => type.encode(type.fromObject(value)).finish() as Buffer,
    decode: (bytes) => type.toObject(type.decode(bytes), messageShape) as T,
  };
}
