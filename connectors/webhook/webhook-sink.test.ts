import assert from 'node:assert/strict';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { rowSinkContract } from '../../sdk/testing/sink-contract.ts';
import type { BatchPart, BuryRows, LanePlace, RefusedRow, RowSink, SinkSettings } from '../../core/row-sink.ts';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { WebhookSinks } from './webhook-sinks.ts';

interface Request {
  readonly path: string;
  readonly key: string;
  readonly authorization: string;
  readonly body: string;
}

/** Answers as told, then 200. */
class Hook {
  readonly requests: Request[] = [];
  readonly answers: ((response: ServerResponse) => void)[] = [];
  /** The status for a body, where no answer waits. */
  judge: ((body: string) => number) | null = null;
  readonly server: Server = createServer((request, response) => void this.#take(request, response));

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { 'idempotency-key': key, authorization = '' } = request.headers;
    this.requests.push({
      path: request.url ?? '',
      key: String(key),
      authorization,
      body: Buffer.concat(chunks).toString(),
    });
    const answer = this.answers.shift();
    if (answer === undefined && this.judge !== null)
      response.writeHead(this.judge(this.requests.at(-1)?.body ?? '')).end();
    else if (answer === undefined) response.end('{}');
    else answer(response);
  }
}

const status =
  (code: number, headers: Record<string, string> = {}, text = '') =>
  (response: ServerResponse): void => {
    response.writeHead(code, headers).end(text);
  };

const requireHost = (host: string): Promise<void> =>
  host === 'internal.example' ? Promise.reject(new WeirError('FORBIDDEN', `not to ${host}`)) : Promise.resolve();
const always = { valid: () => true, check: () => undefined };
const columns = [{ input: 0, name: 'id', from: { kind: 'int' }, to: '' }] as const;

function encode(ids: readonly number[]): Pick<BatchPart, 'bytes' | 'ends'> {
  const lines = ids.map((id) => `{"id":${id}}\n`);
  let at = 0;
  return { bytes: Buffer.from(lines.join('')), ends: Uint32Array.from(lines, (line) => (at += line.length)) };
}

function part(ids: readonly number[]): BatchPart {
  const base = { directory: '', rowCount: ids.length, deletes: null, groups: null, unit: 'u' };
  return { ...base, ...encode(ids), offsets: Float64Array.from(ids) };
}

const place: LanePlace = { kind: 'lane', job: 'j', run: 1, lane: 'u/t/0', from: 0, to: 10, continues: false };

const hook = new Hook();
before(async () => {
  await new Promise<void>((resolve) => hook.server.listen(0, '127.0.0.1', resolve));
});
after(() => {
  hook.server.closeAllConnections();
  hook.server.close();
});

function open(settings: SinkSettings = {}, job = 'j', bury?: BuryRows): Promise<RowSink> {
  const secret = (text: string): string => text.replace('${env:WEIR_SECRET_HOOK}', 's3cret');
  const connector = new WebhookSinks({ clock: systemClock, rng: systemRng, secret, requireHost });
  const base = {
    url: `${hook.url}/${job}`,
    body: 'array',
    batchRows: 3,
    timeoutMs: 300,
    onRejected: 'fail',
    headers: '{}',
  };
  return connector.open({
    job,
    name: 'webhook',
    format: { kind: 'json', columns },
    settings: { ...base, ...settings },
    ...(bury === undefined ? {} : { bury }),
  });
}

rowSinkContract(
  'webhook',
  () =>
    Promise.resolve({
      open: (job) => open({}, job),
      encode,
      read: (job) =>
        Promise.resolve(
          hook.requests
            .filter(({ path }) => path === `/${job}`)
            .flatMap(({ body }) => (JSON.parse(body) as { id: number }[]).map(({ id }) => id)),
        ),
      close: () => Promise.resolve(),
    }),
  { lanes: true, epochs: true, exactlyOnce: false },
);

describe('webhook', () => {
  const bodies = (from: number): string[] => hook.requests.slice(from).map(({ body }) => body);

  test('rows in requests of so many, as an array, as lines, one by one', async () => {
    for (const [body, expected] of [
      ['array', ['[{"id":1},{"id":2},{"id":3}]', '[{"id":4}]']],
      ['ndjson', ['{"id":1}\n{"id":2}\n{"id":3}\n', '{"id":4}\n']],
      ['single', ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']],
    ] as const) {
      const from = hook.requests.length;
      await (await open({ body })).write({ place, parts: [part([1, 2, 3, 4])] }, always);
      assert.deepEqual(bodies(from), expected);
    }
  });

  test('what is not answered or busy is sent again under the same key', async () => {
    const from = hook.requests.length;
    const secrets = { headers: '{"authorization":"Bearer ${env:WEIR_SECRET_HOOK}"}' };
    hook.answers.push(
      status(503),
      status(429, { 'retry-after': '0' }),
      (response) => response.socket?.destroy(),
      // Slow: the answer comes after the time that the sink waits.
      (response) => void setTimeout(() => response.end(), 600),
    );
    const sink = await open(secrets);
    await sink.write({ place, parts: [part([1])] }, always);
    const sent = hook.requests.slice(from);
    assert.equal(sent.length, 5);
    assert.equal(new Set(sent.map(({ key }) => key)).size, 1);
    assert.equal(sent[0]?.authorization, 'Bearer s3cret');
    assert.equal(sink.stats().retries, 4);
    assert.equal(sink.stats().blockedBy, null);
  });

  test('rows that are refused stop the job, or are left out', async () => {
    hook.answers.push(status(422, {}, 'no such id'));
    await assert.rejects((await open()).write({ place, parts: [part([1])] }, always), (error) => {
      assert.ok(isWeirError(error, 'SINK_REFUSED'));
      assert.match(error.message, /answered 422 \(no such id\).*onRejected: deadLetter/);
      return true;
    });
    const from = hook.requests.length;
    hook.answers.push(status(422));
    await (await open({ onRejected: 'drop' })).write({ place, parts: [part([1, 2, 3, 4])] }, always);
    assert.equal(hook.requests.length - from, 2);
  });

  test('under deadLetter the rows that are refused are kept, the others are taken, each once', async () => {
    const buried: { readonly run: number; readonly rows: readonly RefusedRow[] }[] = [];
    const bury: BuryRows = (run, rows) => {
      buried.push({ run, rows });
      return Promise.resolve();
    };
    const bad = new Set([2, 5]);
    for (const body of ['array', 'ndjson', 'single'] as const) {
      const taken: number[] = [];
      hook.judge = (text) => {
        const ids = [...text.matchAll(/"id":(\d+)/g)].map(([, id]) => Number(id));
        if (ids.some((id) => bad.has(id))) return 422;
        taken.push(...ids);
        return 200;
      };
      const sink = await open({ onRejected: 'deadLetter', body, batchRows: 4 }, 'j', bury);
      await sink.write({ place: { ...place, lane: 'u/t/6' }, parts: [part([1, 2, 3, 4, 5])] }, always);
      hook.judge = null;
      assert.deepEqual(taken, [1, 3, 4]);
      assert.equal(sink.stats().refused, 2);
      assert.deepEqual(
        buried
          .splice(0)
          .map(({ run, rows }) => [
            run,
            ...rows.map(({ bytes, record, place: why }) => [Buffer.from(bytes).toString(), record, why]),
          ]),
        [2, 5].map((id) => [1, [`{"id":${id}}`, { partition: 6, offset: id }, 'answered 422']]),
      );
    }
  });

  test('an address that is not there stops the job under deadLetter too: nothing is wrong with the rows', async () => {
    for (const code of [404, 405, 410]) {
      hook.answers.push(status(code));
      const sink = await open({ onRejected: 'deadLetter' }, 'j', () => Promise.reject(new Error('nothing to bury')));
      await assert.rejects(sink.write({ place, parts: [part([1, 2])] }, always), (error) =>
        isWeirError(error, 'SINK_REFUSED'),
      );
    }
  });

  test('wrong credentials are told apart, and nobody is followed elsewhere', async () => {
    hook.answers.push(status(401));
    await assert.rejects((await open()).write({ place, parts: [part([1])] }, always), (error) =>
      isWeirError(error, 'UNAUTHORIZED'),
    );
    hook.answers.push(status(307, { location: `${hook.url}/elsewhere` }));
    await assert.rejects((await open()).write({ place, parts: [part([1])] }, always), /answered 307/);
    assert.ok(!hook.requests.some(({ path }) => path === '/elsewhere'));
  });

  test('a host that jobs may not go to is not asked', async () => {
    const sink = await open({ url: 'http://internal.example/' });
    await assert.rejects(sink.write({ place, parts: [part([1])] }, always), (error) => isWeirError(error, 'FORBIDDEN'));
  });

  test('a service that is away blocks the sink until it is closed', async () => {
    const sink = await open({ url: 'http://127.0.0.1:1/' });
    const written = sink.write({ place, parts: [part([1])] }, always);
    written.catch(() => undefined);
    while (sink.stats().blockedBy === null) await systemClock.sleep(5);
    assert.match(sink.stats().blockedBy ?? '', /webhook http:\/\/127\.0\.0\.1:1\/ does not answer/);
    await sink.close();
    await assert.rejects(written, (error) => isWeirError(error, 'FENCED'));
  });
});
