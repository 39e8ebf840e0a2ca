/**
 * gRPC's standard services on the master's port: health, for probes of compose and Kubernetes, and reflection, so that
 * grpcurl knows what it may ask. Both say nothing of jobs. Health asks nobody for a token.
 */
import type {
  sendUnaryData,
  Server,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceDefinition,
} from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import type { MessageTypeDefinition, PackageDefinition } from '@grpc/proto-loader';
import { messageOf } from '../core/errors.ts';
import { loadHealth, loadReflection } from '../proto/load.ts';

interface HealthRequest {
  readonly service: string;
}

interface HealthReply {
  readonly status: 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';
}

const HEALTH = 'grpc.health.v1.Health';
const REFLECTION = 'grpc.reflection.v1.ServerReflection';
/** As it was called before it became a standard; the messages are the same, and older tools ask for it. */
const REFLECTION_ALPHA = 'grpc.reflection.v1alpha.ServerReflection';
const CONTROL = 'weir.v1.Control';
const WATCH_INTERVAL_MS = 500;

/** `isReady`: workers are served, by this master or by the leader it names. The server as a whole serves while it answers. */
export function addHealth(server: Server, isReady: () => boolean): void {
  const statusOf = (service: string): HealthReply['status'] =>
    service === '' ? 'SERVING' : service === CONTROL ? (isReady() ? 'SERVING' : 'NOT_SERVING') : 'SERVICE_UNKNOWN';
  server.addService(loadHealth(), {
    Check: ({ request }: ServerUnaryCall<HealthRequest, HealthReply>, callback: sendUnaryData<HealthReply>) => {
      const found = statusOf(request.service);
      if (found === 'SERVICE_UNKNOWN')
        callback({ code: status.NOT_FOUND, details: `There is no service ${request.service}.` });
      else callback(null, { status: found });
    },
    Watch: (call: ServerWritableStream<HealthRequest, HealthReply>) => {
      let last = '';
      const tell = (): void => {
        const now = statusOf(call.request.service);
        if (now !== last) call.write({ status: now });
        last = now;
      };
      tell();
      const timer = setInterval(tell, WATCH_INTERVAL_MS);
      timer.unref();
      for (const event of ['cancelled', 'close', 'error'] as const) call.on(event, () => clearInterval(timer));
    },
  });
}

interface ReflectionRequest {
  readonly host: string;
  readonly fileByFilename?: string;
  readonly fileContainingSymbol?: string;
  readonly listServices?: string;
}

/**
 * Answers by the files that the master's services are defined in; extensions there are none. `mayAsk` judges the
 * authorization that came with a call.
 */
export function addReflection(server: Server, mayAsk: (authorization: string | undefined) => boolean): void {
  const answer = async (request: ReflectionRequest): Promise<object> => {
    if (request.listServices !== undefined)
      return { listServicesResponse: { service: [CONTROL, HEALTH, REFLECTION].map((name) => ({ name })) } };
    const definition = (await import('../proto/standard.ts')).loadStandard();
    const files = filesOf(definition);
    const found =
      request.fileByFilename === undefined
        ? filesWith(definition, files, request.fileContainingSymbol ?? '')
        : [files.get(request.fileByFilename)].filter((bytes) => bytes !== undefined);
    if (found.length > 0) return { fileDescriptorResponse: { fileDescriptorProto: found } };
    return { errorResponse: { errorCode: status.NOT_FOUND, errorMessage: 'There is nothing by that name.' } };
  };
  const handlers = {
    ServerReflectionInfo: (call: ServerDuplexStream<ReflectionRequest, object>) => {
      if (!mayAsk(call.metadata.get('authorization')[0]?.toString())) {
        call.emit('error', { code: status.UNAUTHENTICATED, details: 'This master asks for a token.' });
        return;
      }
      // Answers come in the order of what was asked.
      let answered = Promise.resolve();
      call.on('data', (request: ReflectionRequest) => {
        const next = answered.then(async () => {
          call.write({ validHost: request.host, originalRequest: request, ...(await answer(request)) });
        });
        answered = next.catch((error: unknown) => {
          call.emit('error', { code: status.INTERNAL, details: messageOf(error) });
        });
      });
      call.on('end', () => void answered.then(() => call.end()));
      call.on('error', () => undefined);
    },
  };
  const service = loadReflection();
  server.addService(service, handlers);
  const alpha = Object.entries(service).map(([name, method]) => [
    name,
    { ...method, path: method.path.replace(REFLECTION, REFLECTION_ALPHA) },
  ]);
  server.addService(Object.fromEntries(alpha) as ServiceDefinition, handlers);
}

/** Descriptors of files by their names. */
function filesOf(definition: PackageDefinition): Map<string, Buffer> {
  const all = Object.values(definition).flatMap((entry) =>
    'fileDescriptorProtos' in entry ? (entry as MessageTypeDefinition<object, object>).fileDescriptorProtos : [],
  );
  return new Map(all.map((bytes) => [fileName(bytes), bytes]));
}

/** The files in which a service, message or method is defined, and what they need. */
function filesWith(definition: PackageDefinition, files: ReadonlyMap<string, Buffer>, symbol: string): Buffer[] {
  const isPart = (name: string): boolean => symbol === name || symbol.startsWith(`${name}.`);
  if (!Object.keys(definition).some(isPart)) return [];
  // A package is one file to the loader.
  const packageName = symbol
    .split('.')
    .slice(0, symbol.startsWith('weir.') ? 2 : 3)
    .join('.');
  return [...files.values()].filter((bytes) =>
    bytes.includes(`\u0012${String.fromCharCode(packageName.length)}${packageName}`),
  );
}

/** The first field of a FileDescriptorProto: tag 0x0a, a length below 128, the name. */
function fileName(bytes: Buffer): string {
  return bytes.subarray(2, 2 + (bytes[1] ?? 0)).toString();
}
