import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import type { LookupSource, LookupTable } from '../../core/lookup.ts';
import { parseOutbound } from '../../core/security/outbound.ts';
import { HttpLookups } from './http-lookup.ts';

const never = new AbortController().signal;

suite('rows from a web service', () => {
  let port = 0;
  let answer: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  const opened: LookupSource[] = [];
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    await Promise.all(opened.map((source) => source.close()));
    server.closeAllConnections();
    server.close();
  });

  const open = async (settings: Partial<Record<string, string>> = {}, allowed = 'any'): Promise<LookupSource> => {
    const table: LookupTable = {
      job: 'j',
      name: 'users',
      connector: 'http',
      settings: { url: `http://127.0.0.1:${port}/users/{id}?in={city}`, headers: '{}', select: null, ...settings },
      columns: [
        { name: 'id', type: 'BIGINT' },
        { name: 'city', type: 'STRING' },
        { name: 'score', type: 'BIGINT' },
      ],
      key: ['id', 'city'],
    };
    const secret = (text: string): string => text.replace('${env:WEIR_SECRET_API}', 'sesame');
    const source = await new HttpLookups({ policy: parseOutbound(allowed), secret }).open(table);
    opened.push(source);
    return source;
  };
  const says = (status: number, body = '', headers: Readonly<Record<string, string>> = {}): void => {
    answer = (_, response) => void response.writeHead(status, headers).end(body);
  };
  const ask = async (source: LookupSource): Promise<unknown> => (await source.ask([['7', 'São Paulo/&']], never))[0];
  const rejects = async (code: ErrorCode, message: RegExp, source?: LookupSource): Promise<void> => {
    await assert.rejects(ask(source ?? (await open())), (error) => {
      assert.ok(isWeirError(error, code), String(error));
      assert.match(error.message, message);
      return true;
    });
  };

  test('the key stands in the address, escaped; digits beyond 2^53 stay', async () => {
    let authorization: string | undefined;
    answer = (request, response) => {
      ({ authorization } = request.headers);
      response.end('{"data":{"score":9007199254740993,"id":7,"more":[1]}}');
    };
    const source = await open({ select: 'data', headers: '{"authorization":"Bearer ${env:WEIR_SECRET_API}"}' });
    const found = await ask(source);
    assert.equal(asked.at(-1), '/users/7?in=S%C3%A3o%20Paulo%2F%26');
    assert.equal(authorization, 'Bearer sesame');
    assert.equal(JSON.stringify(found), '{"kind":"row","values":[7,null,9007199254740993]}');
  });

  test('connections are used again', async () => {
    const ports = new Set<number | undefined>();
    answer = (request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{}');
    };
    const source = await open();
    for (let time = 0; time < 3; time++) await ask(source);
    assert.equal(ports.size, 1);
  });

  test('no row: 404, 410, 204, null', async () => {
    for (const status of [404, 410, 204]) {
      says(status);
      assert.deepEqual(await ask(await open()), { kind: 'none' });
    }
    says(200, '{"data":null}');
    assert.deepEqual(await ask(await open({ select: 'data' })), { kind: 'none' });
  });

  test('what is no row is bad and says why, without the key', async () => {
    const bad = async (settings: Partial<Record<string, string>>, message: RegExp): Promise<void> => {
      const found = (await ask(await open(settings))) as { readonly kind: string; readonly message: string };
      assert.equal(found.kind, 'bad');
      assert.match(found.message, message);
      assert.doesNotMatch(found.message, /Paulo/);
    };
    says(200, '<html>');
    await bad(
      {},
      /job j, lookup users: GET http:\/\/127\.0\.0\.1:\d+\/users\/\{id\} answered what is not JSON \(<html>\)/,
    );
    says(200, '[1]');
    await bad({}, /the answer is no JSON object/);
    says(302, '', { location: 'http://169.254.169.254/' });
    await bad({}, /answered 302, which is no row/);
    says(400, 'no such city');
    await bad({}, /answered 400 \(no such city\), which is no row/);
  });

  test('what may work later, and what somebody has to change', async () => {
    for (const status of [500, 503, 429, 408]) {
      says(status);
      await rejects('LOOKUP_UNAVAILABLE', new RegExp(`answered ${status}`));
    }
    for (const status of [401, 403]) {
      says(status);
      await rejects('UNAUTHORIZED', /check the headers of the lookup/);
    }
    await rejects('FORBIDDEN', /may not have 127\.0\.0\.1 connected to/, await open({}, 'public'));
    const closed = createServer();
    await once(closed.listen(0, '127.0.0.1'), 'listening');
    const gone = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    const nobody = await open({ url: `http://127.0.0.1:${gone}/{id}/{city}` });
    await rejects('LOOKUP_UNAVAILABLE', /does not answer \(.*ECONNREFUSED/, nobody);
  });

  test('a request ends with its signal', async () => {
    answer = () => undefined;
    const source = await open();
    const late = new AbortController();
    const waiting = source.ask([['1', 'x']], late.signal);
    late.abort(new Error('too late'));
    await assert.rejects(waiting, (error) => isWeirError(error, 'LOOKUP_UNAVAILABLE'));
  });
});
