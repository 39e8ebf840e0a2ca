import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../connectors/system/clock.ts';
import { WeirError } from '../core/errors.ts';
import { partition } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import { readBatchHeaders } from '../core/record-batch.ts';
import { always } from '../test/conformance/source.ts';
import { GatheredAppends } from './gathered-appends.ts';

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A log whose requests are acknowledged by hand. */
class ManualLog {
  readonly requests: { readonly appends: readonly LogAppend[]; readonly done: PromiseWithResolvers<void> }[] = [];

  readonly writer = {
    append: (appends: readonly LogAppend[], permit: WritePermit): Promise<void> => {
      permit.check();
      const done = Promise.withResolvers<void>();
      this.requests.push({ appends, done });
      return done.promise;
    },
  } as unknown as LogWriter;

  /** Records by partition of each request. */
  get records(): string[][] {
    return this.requests.map(({ appends }) =>
      appends.map(
        ({ partition: to, batch }) =>
          `${to}: ${readBatchHeaders(batch)
            .map(({ recordCount }) => recordCount)
            .join()}`,
      ),
    );
  }
}

function appendTo(to: number, bytes = 10): LogAppend {
  const record = { key: null, value: new Uint8Array(bytes), timestampMs: 0 };
  return { topic: 'out', partition: partition(to), batch: encodeRecordBatch([record]) };
}

const fenced: WritePermit = {
  valid: () => false,
  check: () => {
    throw new WeirError('FENCED', 'handed over');
  },
};

test('small appends of one turn are one request of one batch per partition; what comes meanwhile is the next one', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const first = [
    appends.append(null, [appendTo(0), appendTo(1)], always),
    appends.append(null, [appendTo(1), appendTo(2)], always),
  ];
  await settled();
  const second = [appends.append(null, [appendTo(0)], always), appends.append(null, [appendTo(0)], always)];
  await settled();
  assert.deepEqual(log.records, [['0: 1', '1: 2', '2: 1']]);
  log.requests[0]?.done.resolve();
  await Promise.all(first);
  await settled();
  assert.deepEqual(log.records.slice(1), [['0: 2']]);
  log.requests[1]?.done.resolve();
  await Promise.all(second);
});

test('what one owner appends goes out in its order: small ones together, a large one between them by itself', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const all = [
    appends.append('a', [appendTo(0)], always),
    appends.append('a', [appendTo(0)], always),
    appends.append('a', [appendTo(0, 40_000)], always),
    appends.append('a', [appendTo(0)], always),
    appends.append('b', [appendTo(1)], always),
  ];
  await settled();
  assert.deepEqual(log.records, [['0: 2', '1: 1']]);
  log.requests[0]?.done.resolve();
  await settled();
  assert.deepEqual(log.records.slice(1), [['0: 1']]);
  await settled();
  assert.equal(log.requests.length, 2, 'the last small one waits for the large one');
  log.requests[1]?.done.resolve();
  await settled();
  assert.deepEqual(log.records.slice(2), [['0: 1']]);
  log.requests[2]?.done.resolve();
  await Promise.all(all);
});

test('nothing of an owner goes out behind what was lost, until it begins anew', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const lost = [0, 1].map((to) => assert.rejects(appends.append('a', [appendTo(to)], always), /lost/));
  await settled();
  lost.push(assert.rejects(appends.append('a', [appendTo(2)], always), /lost/));
  lost.push(assert.rejects(appends.append('a', [appendTo(3, 40_000)], always), /lost/));
  const other = appends.append('b', [appendTo(4)], always);
  log.requests[0]?.done.reject(new Error('one of them is lost'));
  await settled();
  log.requests[1]?.done.reject(new Error('lost'));
  await Promise.all(lost);
  await settled();
  assert.deepEqual(log.records, [['0: 1', '1: 1'], ['0: 1'], ['4: 1']]);
  log.requests[2]?.done.resolve();
  await other;
  const again = appends.append('a', [appendTo(5)], always);
  await settled();
  assert.deepEqual(log.records.slice(3), [['5: 1']]);
  log.requests[3]?.done.resolve();
  await again;
});

test('behind a large append, small ones go out together again', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const all = [
    appends.append('a', [appendTo(0, 40_000)], always),
    ...[0, 0, 0].map((to) => appends.append('a', [appendTo(to)], always)),
  ];
  await settled();
  assert.deepEqual(log.records, [['0: 1']]);
  log.requests[0]?.done.resolve();
  await settled();
  assert.deepEqual(log.records.slice(1), [['0: 3']]);
  log.requests[1]?.done.resolve();
  await Promise.all(all);
});

test('a topic that refuses large batches gets smaller ones from then on', async () => {
  let refused = 0;
  let records = 0;
  const writer = {
    append: async (requested: readonly LogAppend[]): Promise<void> => {
      if (requested.some(({ batch }) => batch.byteLength > 40_000)) {
        refused++;
        throw new WeirError('SINK_REFUSED', 'too large');
      }
      for (const { batch } of requested) for (const { recordCount } of readBatchHeaders(batch)) records += recordCount;
    },
  } as unknown as LogWriter;
  const appends = new GatheredAppends(writer, systemClock);
  for (let round = 0; round < 20; round++)
    await Promise.all(Array.from({ length: 12 }, () => appends.append(null, [appendTo(0, 10_000)], always)));
  assert.equal(records, 20 * 12);
  assert.ok(refused <= 3, `${refused} requests refused`);
});

test('large appends wait for nobody', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const small = appends.append(null, [appendTo(0)], always);
  await settled();
  const large = appends.append(null, [appendTo(1, 40_000)], always);
  assert.deepEqual(log.records, [['0: 1'], ['1: 1']]);
  for (const { done } of log.requests) done.resolve();
  await Promise.all([small, large]);
});

test('who may not write any more is refused by itself; the others go out', async () => {
  const log = new ManualLog();
  const appends = new GatheredAppends(log.writer, systemClock);
  const refused = assert.rejects(appends.append(null, [appendTo(0)], fenced), /handed over/);
  const other = appends.append(null, [appendTo(1)], always);
  await refused;
  assert.deepEqual(log.records, [['1: 1']]);
  log.requests[0]?.done.resolve();
  await other;
});

test('when a request for several is refused, only those whose records are refused fail', async () => {
  const sent: number[][] = [];
  const writer = {
    append: async (appends: readonly LogAppend[]): Promise<void> => {
      sent.push(appends.map(({ partition: to }) => to));
      if (appends.some(({ partition: to }) => to === 1)) throw new WeirError('SINK_REFUSED', 'not there');
    },
  } as unknown as LogWriter;
  const appends = new GatheredAppends(writer, systemClock);
  const good = appends.append(null, [appendTo(0)], always);
  const bad = assert.rejects(appends.append(null, [appendTo(1)], always), /not there/);
  await Promise.all([good, bad]);
  assert.deepEqual(sent, [[0, 1], [0], [1]]);
  await appends.append(null, [appendTo(2)], always);
});

test('what a failed request was sent from is no memory that goes back to the caller', async () => {
  const sent: (readonly LogAppend[])[] = [];
  const writer = {
    append: async (requested: readonly LogAppend[]): Promise<void> => {
      sent.push(requested);
      if (sent.length === 1) throw new WeirError('SINK_UNAVAILABLE', 'lost on its way');
    },
  } as unknown as LogWriter;
  const appends = new GatheredAppends(writer, systemClock);
  const given = [appendTo(0), appendTo(1), appendTo(1)];
  await Promise.all(given.map((append) => appends.append(null, [append], always)));
  const own = new Set<ArrayBufferLike>(given.map(({ batch }) => batch.buffer));
  assert.equal(sent.length, 1 + given.length);
  assert.deepEqual(
    sent[0]?.map(({ batch }) => own.has(batch.buffer)),
    [false, false],
  );
});
