import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WeirError, isWeirError } from '../core/errors.ts';
import type { LanePlace, RowBatch, RowSink, RowsPart } from '../core/row-sink.ts';
import { LaneBatches } from './lane-batches.ts';

/** Holds every write until it is let go. */
class HeldSink implements RowSink {
  readonly batches: RowBatch[] = [];
  readonly #held: PromiseWithResolvers<void>[] = [];

  write(batch: RowBatch): Promise<void> {
    this.batches.push(batch);
    const held = Promise.withResolvers<void>();
    this.#held.push(held);
    return held.promise;
  }

  /** The oldest write ends. */
  async end(error?: Error): Promise<void> {
    const held = this.#held.shift();
    if (error === undefined) held?.resolve();
    else held?.reject(error);
    await new Promise(setImmediate);
  }

  stats(): ReturnType<RowSink['stats']> {
    return { inFlight: 0, retries: 0, blockedBy: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const permit = { valid: () => true, check: () => undefined };
const place = (from: number, to: number, lane = 'a/t/0'): LanePlace => ({
  kind: 'lane',
  job: 'j',
  run: 1,
  lane,
  from,
  to,
  continues: false,
});
const part = (bytes: number): RowsPart => ({
  directory: '',
  rowCount: 1,
  bytes: new Uint8Array(bytes),
  ends: null,
  deletes: null,
  offsets: null,
  groups: null,
});

describe('batches of lanes', () => {
  const ranges = (sink: HeldSink): string[] =>
    sink.batches.map(({ place: at, parts }) =>
      at.kind === 'lane' ? `${at.lane} ${at.from}-${at.to} ${parts.length}` : '',
    );

  test('what comes while a batch is written makes up the next; lanes do not wait for each other', async () => {
    const sink = new HeldSink();
    const batches = new LaneBatches(sink);
    const done: number[] = [];
    for (const from of [0, 1, 2])
      void batches.write([part(1)], place(from, from + 1), permit).then(() => done.push(from));
    void batches.write([part(1)], place(5, 6, 'a/t/1'), permit);
    assert.deepEqual(ranges(sink), ['a/t/0 0-1 1', 'a/t/1 5-6 1']);
    await sink.end();
    assert.deepEqual(done, [0]);
    assert.deepEqual(ranges(sink).slice(2), ['a/t/0 1-3 2']);
    await sink.end();
    await sink.end();
    assert.deepEqual(done, [0, 1, 2]);
  });

  test('a batch does not grow without bound', async () => {
    const sink = new HeldSink();
    const batches = new LaneBatches(sink);
    for (const from of [0, 1, 2, 3]) void batches.write([part(7 << 20)], place(from, from + 1), permit);
    await sink.end();
    assert.deepEqual(ranges(sink), ['a/t/0 0-1 1', 'a/t/0 1-3 2']);
  });

  test('what follows rows that could not be written is not written; another owner is not held up', async () => {
    const sink = new HeldSink();
    const batches = new LaneBatches(sink);
    const refused = new WeirError('SINK_REFUSED', 'no');
    const first = batches.write([part(1)], place(0, 1), permit);
    const second = batches.write([part(1)], place(1, 2), permit);
    const others = batches.write([part(1)], place(0, 2), { ...permit });
    const failures = Promise.allSettled([first, second]);
    await sink.end(refused);
    for (const outcome of await failures)
      assert.ok(outcome.status === 'rejected' && isWeirError(outcome.reason, 'SINK_REFUSED'));
    assert.deepEqual(ranges(sink), ['a/t/0 0-1 1', 'a/t/0 0-2 1']);
    await sink.end();
    await others;
  });

  test('nothing is sent once the permit is gone', async () => {
    const sink = new HeldSink();
    const fenced = {
      valid: () => false,
      check: () => {
        throw new WeirError('FENCED', 'gone');
      },
    };
    await assert.rejects(new LaneBatches(sink).write([part(1)], place(0, 1), fenced), (error) =>
      isWeirError(error, 'FENCED'),
    );
    assert.deepEqual(sink.batches, []);
  });
});
