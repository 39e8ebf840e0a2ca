import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Client, ClientDuplexStream, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { loadStandard } from '../proto/standard.ts';
import type { ControlListener } from './grpc-server.ts';
import { listenControl } from './grpc-server.ts';

interface Health extends Client {
  Check(request: { service: string }, done: (error: ServiceError | null, reply?: { status: string }) => void): void;
  Watch(request: { service: string }): ClientReadableStream<{ status: string }>;
}

interface Reflection extends Client {
  ServerReflectionInfo(): ClientDuplexStream<object, Reflected>;
}

interface Reflected {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

type Constructor<C> = new (address: string, creds: ReturnType<typeof credentials.createInsecure>) => C;

suite('standard services of gRPC', () => {
  let listener: ControlListener;
  let ready = false;
  let health: Health;
  let reflection: Reflection;

  before(async () => {
    listener = await listenControl(
      '127.0.0.1',
      0,
      () => () => undefined,
      () => ready,
    );
    // oxlint-disable-next-line typescript/no-explicit-any
    const { grpc } = loadPackageDefinition(loadStandard()) as any;
    const client = <C>(make: Constructor<C>): C => new make(listener.address, credentials.createInsecure());
    health = client<Health>(grpc.health.v1.Health);
    reflection = client<Reflection>(grpc.reflection.v1.ServerReflection);
  });

  after(async () => {
    health.close();
    reflection.close();
    await listener.close();
  });

  const check = (service: string): Promise<string | number> =>
    new Promise((resolve) => {
      health.Check({ service }, (error, reply) => resolve(error === null ? (reply?.status ?? '') : error.code));
    });

  test('health: of the process, of the control service, of what is not there', async () => {
    ready = false;
    assert.deepEqual(
      [await check(''), await check('weir.v1.Control'), await check('other')],
      ['SERVING', 'NOT_SERVING', status.NOT_FOUND],
    );
    ready = true;
    assert.equal(await check('weir.v1.Control'), 'SERVING');
  });

  test('health can be watched', async () => {
    ready = false;
    const call = health.Watch({ service: 'weir.v1.Control' });
    call.on('error', () => undefined);
    const seen: string[] = [];
    for await (const reply of call as AsyncIterable<{ status: string }>) {
      seen.push(reply.status);
      ready = true;
      if (seen.length === 2) break;
    }
    call.cancel();
    assert.deepEqual(seen, ['NOT_SERVING', 'SERVING']);
  });

  test('reflection lists the services and gives the files they are defined in', async () => {
    const ask = async (request: object): Promise<Reflected> => {
      const call = reflection.ServerReflectionInfo();
      call.on('error', () => undefined);
      const reply = new Promise<Reflected>((resolve) => call.once('data', resolve));
      call.write(request);
      const got = await reply;
      call.end();
      return got;
    };
    const { listServicesResponse } = await ask({ listServices: '' });
    assert.deepEqual(
      listServicesResponse?.service.map(({ name }) => name),
      ['weir.v1.Control', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection'],
    );
    for (const [symbol, holds] of [
      ['weir.v1.Control', 'Connect'],
      ['weir.v1.Control.Connect', 'WorkerMessage'],
      ['grpc.health.v1.HealthCheckRequest', 'HealthCheckResponse'],
      ['grpc.reflection.v1.ServerReflection', 'ServerReflectionInfo'],
    ] as const) {
      const [file, ...others] =
        (await ask({ fileContainingSymbol: symbol })).fileDescriptorResponse?.fileDescriptorProto ?? [];
      assert.ok(file !== undefined && file.includes(holds), symbol);
      assert.deepEqual(others, []);
      const name = file.subarray(2, 2 + (file[1] ?? 0)).toString();
      assert.equal((await ask({ fileByFilename: name })).fileDescriptorResponse?.fileDescriptorProto.length, 1);
    }
    assert.equal((await ask({ fileContainingSymbol: 'weir.v1.Nothing' })).errorResponse?.errorCode, status.NOT_FOUND);
  });
});
