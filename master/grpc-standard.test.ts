import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Client, ClientDuplexStream, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { Metadata, credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { fence } from '../core/ids.ts';
import { loadStandard } from '../proto/standard.ts';
import type { ControlListener } from './grpc-server.ts';
import { listenControl } from './grpc-server.ts';
import { Leadership, servesWorkers } from './leadership.ts';
import type { TermCoordinator } from './leadership.ts';
import { Gate } from './security/gate.ts';

interface Health extends Client {
  Check(request: { service: string }, done: (error: ServiceError | null, reply?: { status: string }) => void): void;
  Watch(request: { service: string }): ClientReadableStream<{ status: string }>;
}

interface Reflection extends Client {
  ServerReflectionInfo(metadata?: Metadata): ClientDuplexStream<object, Reflected>;
}

interface Reflected {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

type Constructor<C> = new (address: string, creds: ReturnType<typeof credentials.createInsecure>) => C;

/** Clients as any tool makes them: grpc-js and the services' own definitions. */
function clientsOf(address: string): { readonly health: Health; readonly reflection: Reflection } {
  // oxlint-disable-next-line typescript/no-explicit-any
  const { grpc } = loadPackageDefinition(loadStandard()) as any;
  const client = <C>(make: Constructor<C>): C => new make(address, credentials.createInsecure());
  return {
    health: client<Health>(grpc.health.v1.Health),
    reflection: client<Reflection>(grpc.reflection.v1.ServerReflection),
  };
}

const checkOf = (health: Health, service: string): Promise<string | number> =>
  new Promise((resolve) => {
    health.Check({ service }, (error, reply) => resolve(error === null ? (reply?.status ?? '') : error.code));
  });

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
    ({ health, reflection } = clientsOf(listener.address));
  });

  after(async () => {
    health.close();
    reflection.close();
    await listener.close();
  });

  const check = async (service: string): Promise<string | number> => await checkOf(health, service);

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

suite('standard services of a master among others', () => {
  test('the control service is not served before a leader is known, is served while one is, and not after', async () => {
    const opened = Promise.withResolvers<void>();
    const coordinator: Partial<TermCoordinator> = { open: () => opened.promise, close: () => Promise.resolve() };
    const leadership = new Leadership(() => coordinator as TermCoordinator);
    const lease: { leading: boolean; leader: { holder: string; address: string; httpAddress: string } | null } = {
      leading: false,
      leader: null,
    };
    leadership.follow(lease);
    const listener = await listenControl(
      '127.0.0.1',
      0,
      (stream) => leadership.attach(stream),
      () => servesWorkers(leadership.standing),
    );
    const { health, reflection } = clientsOf(listener.address);
    const now = async (): Promise<unknown> => await checkOf(health, 'weir.v1.Control');
    try {
      assert.equal(await now(), 'NOT_SERVING', 'nobody is elected');
      lease.leader = { holder: 'other', address: 'o:1', httpAddress: 'http://o' };
      assert.equal(await now(), 'SERVING', 'another one leads and is named to workers');
      lease.leader = null;
      lease.leading = true;
      const term = new AbortController();
      const led = leadership.lead(fence(1), term.signal);
      assert.equal(await now(), 'NOT_SERVING', 'elected, and the jobs are not read yet');
      opened.resolve();
      await opened.promise;
      assert.equal(await now(), 'SERVING');
      lease.leading = false;
      term.abort();
      await led;
      assert.equal(await now(), 'NOT_SERVING');
      assert.equal(await checkOf(health, ''), 'SERVING', 'the process answers all the while');
    } finally {
      health.close();
      reflection.close();
      await listener.close();
    }
  });

  test('off loopback reflection asks for a token, and health asks nobody', async () => {
    const gate = new Gate({ loopback: false, clusterToken: 'of-the-cluster', store: null });
    const listener = await listenControl(
      '127.0.0.1',
      0,
      () => () => undefined,
      () => true,
      { identity: null, gate, issue: () => '', note: () => undefined },
    );
    const { health, reflection } = clientsOf(listener.address);
    const ask = async (token?: string): Promise<string | number | undefined> => {
      const metadata = new Metadata();
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      const call = reflection.ServerReflectionInfo(metadata);
      const answered = new Promise<string | number | undefined>((resolve) => {
        call.once('error', (error: Partial<ServiceError>) => resolve(error.code));
        call.once('data', ({ listServicesResponse }: Reflected) => resolve(listServicesResponse?.service[0]?.name));
      });
      call.write({ listServices: '' });
      const answer = await answered;
      call.on('error', () => undefined);
      call.end();
      return answer;
    };
    try {
      assert.equal(await checkOf(health, 'weir.v1.Control'), 'SERVING');
      assert.equal(await ask(), status.UNAUTHENTICATED);
      assert.equal(await ask('another'), status.UNAUTHENTICATED);
      assert.equal(await ask('of-the-cluster'), 'weir.v1.Control');
    } finally {
      health.close();
      reflection.close();
      await listener.close();
    }
  });
});
