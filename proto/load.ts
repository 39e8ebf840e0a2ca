/** The services of proto/*.proto at run time, typed by what `npm run gen` makes of the same files. */
import type { ChannelCredentials, ChannelOptions, Client, ServiceDefinition } from '@grpc/grpc-js';
import { credentials, logVerbosity, makeClientConstructor, setLogVerbosity } from '@grpc/grpc-js';
import type { ControlClient, ControlDefinition } from './gen/control.ts';
import type { EmbeddedClient, EmbeddedDefinition } from './gen/embedded.ts';
import type { ExchangeClient, ExchangeDefinition } from './gen/exchange.ts';
import type { MessageCodec } from './read-proto.ts';
import { readProto } from './read-proto.ts';

// What fails is thrown and told in our own words; grpc-js would print it a second time, in its own. GRPC_VERBOSITY still works.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

/** Largest message between master and worker: no records pass there. */
export const CONTROL_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** Largest message of the embedded process: a fetch or a block of rows. */
export const EMBEDDED_MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Largest message between workers: a piece of a frame. */
export const EXCHANGE_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

interface ChannelLimits {
  readonly messageBytesMax: number;
  /** A connection silent for so long is probed, ms. */
  readonly keepaliveTimeMs: number;
  /** And given up when the probe is not answered for so long, ms: lost network, stopped process. */
  readonly keepaliveTimeoutMs: number;
}

function channelOptions({ messageBytesMax, keepaliveTimeMs, keepaliveTimeoutMs }: ChannelLimits): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.keepalive_time_ms': keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    // Lost connections are tried again quickly: what waits for them is data.
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.use_local_subchannel_pool': 1,
  };
}

/** A master that froze is left about when another one takes over: see master/lease.ts. */
const controlLimits: ChannelLimits = {
  messageBytesMax: CONTROL_MESSAGE_BYTES_MAX,
  keepaliveTimeMs: 1000,
  keepaliveTimeoutMs: 1500,
};

/** Patient: it is on the same machine, calls have deadlines of their own, and a client may be busy for seconds. */
const embeddedLimits: ChannelLimits = {
  messageBytesMax: EMBEDDED_MESSAGE_BYTES_MAX,
  keepaliveTimeMs: 10_000,
  keepaliveTimeoutMs: 10_000,
};

const exchangeLimits: ChannelLimits = {
  messageBytesMax: EXCHANGE_MESSAGE_BYTES_MAX,
  keepaliveTimeMs: 1000,
  keepaliveTimeoutMs: 2000,
};

export interface LoadedService<Definition extends ServiceDefinition, C extends Client> {
  /** For `server.addService(definition, handlers)`. */
  readonly definition: Definition;
  /** Options of a server as well as of a client: message limits, keepalive. */
  readonly options: ChannelOptions;
  /** A client of its own connection; connects with the first call. Plain text unless credentials are given. */
  client(address: string, creds?: ChannelCredentials): C;
  /** Encodes and decodes one message type of the file, by its short name. */
  message<T extends object>(name: string): MessageCodec<T>;
}

type ClientConstructor<C extends Client> = new (
  address: string,
  creds: ChannelCredentials,
  options: ChannelOptions,
) => C;

function load<Definition extends ServiceDefinition, C extends Client>(
  fileName: string,
  serviceName: string,
  limits: ChannelLimits,
): LoadedService<Definition, C> {
  const file = readProto(fileName);
  const definition = file.service(`weir.v1.${serviceName}`);
  const Constructor = makeClientConstructor(definition, serviceName) as unknown as ClientConstructor<C>;
  const options = channelOptions(limits);
  return {
    definition: definition as Definition,
    options,
    client: (address, creds = credentials.createInsecure()) => new Constructor(address, creds, options),
    message: (name) => file.message(`weir.v1.${name}`),
  };
}

let control: LoadedService<ControlDefinition, ControlClient> | undefined;
let embedded: LoadedService<EmbeddedDefinition, EmbeddedClient> | undefined;
let exchange: LoadedService<ExchangeDefinition, ExchangeClient> | undefined;

/** proto/control.proto: master and worker. Parsed once per process. */
export function loadControl(): LoadedService<ControlDefinition, ControlClient> {
  control ??= load<ControlDefinition, ControlClient>('control.proto', 'Control', controlLimits);
  return control;
}

/** proto/embedded.proto: the embedded process. Parsed once per process. */
export function loadEmbedded(): LoadedService<EmbeddedDefinition, EmbeddedClient> {
  embedded ??= load<EmbeddedDefinition, EmbeddedClient>('embedded.proto', 'Embedded', embeddedLimits);
  return embedded;
}

/** proto/exchange.proto: between workers. Parsed once per process. */
export function loadExchange(): LoadedService<ExchangeDefinition, ExchangeClient> {
  exchange ??= load<ExchangeDefinition, ExchangeClient>('exchange.proto', 'Exchange', exchangeLimits);
  return exchange;
}

/** gRPC's own service of health, proto/standard/health.proto. */
export function loadHealth(): ServiceDefinition {
  return readProto('standard/health.proto').service('grpc.health.v1.Health');
}

/** gRPC's own service of reflection, proto/standard/reflection.proto. */
export function loadReflection(): ServiceDefinition {
  return readProto('standard/reflection.proto').service('grpc.reflection.v1.ServerReflection');
}
