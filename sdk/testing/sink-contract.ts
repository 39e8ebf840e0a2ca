/** The contract of RowSink, for every implementation; also of those that come from elsewhere. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isWeirError, WeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { BatchPart, EpochPlace, LanePlace, RowSink, RowsPart } from '../../core/row-sink.ts';

export interface RowSinkFixture {
  /** Opens the sink as another worker does; `job` is new for every test. */
  open(job: string): Promise<RowSink>;
  /** Rows with these numbers in the format of the sink. */
  encode(ids: readonly number[]): Pick<RowsPart, 'bytes' | 'ends'>;
  /** Numbers of the rows that a reader of the sink sees, in any order. */
  read(job: string): Promise<readonly number[]>;
  close(): Promise<void>;
}

export interface RowSinkPromises {
  readonly lanes: boolean;
  readonly epochs: boolean;
  /** Otherwise rows may come more than once. */
  readonly exactlyOnce: boolean;
}

const always: WritePermit = { valid: () => true, check: () => undefined };
const never: WritePermit = {
  valid: () => false,
  check: () => {
    throw new WeirError('FENCED', 'the permit is gone');
  },
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

/** Registers the suite. */
export function rowSinkContract(name: string, make: () => Promise<RowSinkFixture>, promises: RowSinkPromises): void {
  describe(`RowSink contract: ${name}`, () => {
    let fixture: RowSinkFixture;
    let jobs = 0;
    before(async () => {
      fixture = await make();
    });
    after(async () => {
      await fixture?.close();
    });

    const newJob = (): string => `contract-${process.pid}-${++jobs}`;
    const place = (job: string, from: number, to: number, more: Partial<LanePlace> = {}): LanePlace => ({
      kind: 'lane',
      job,
      run: 1,
      lane: 'users/topic-id/0',
      from,
      to,
      continues: false,
      ...more,
    });
    const laneRows = (from: number, to: number): BatchPart => ({
      ...base(range(from, to)),
      unit: 'users/topic-id/0',
      offsets: Float64Array.from(range(from, to)),
    });
    const base = (ids: readonly number[]): BatchPart => ({
      directory: '',
      rowCount: ids.length,
      ...fixture.encode(ids),
      deletes: null,
      offsets: null,
      groups: null,
      unit: '',
    });
    const epochPlace = (job: string, epoch: number, more: Partial<EpochPlace> = {}): EpochPlace => ({
      kind: 'epoch',
      job,
      run: 1,
      epoch,
      epochTsUs: 1_700_000_000_000_000 + epoch * 1_000_000,
      token: 1,
      attempt: 0,
      worker: 0,
      workers: 1,
      ...more,
    });
    /** Rows of state: number n came out of key group n mod 8. */
    const stateRows = (ids: readonly number[], groupOf = (id: number): number => id % 8): BatchPart => ({
      ...base(ids),
      unit: 's1',
      groups: Uint8Array.from(ids, groupOf),
    });
    const expectRows = async (job: string, expected: readonly number[]): Promise<void> => {
      const found = [...(await fixture.read(job))].sort((a, b) => a - b);
      assert.deepEqual(promises.exactlyOnce ? found : [...new Set(found)], expected);
    };

    if (promises.lanes) {
      test('a lane goes on after its owner crashed, whatever pieces the rows come in again', async () => {
        const job = newJob();
        const first = await fixture.open(job);
        await first.write({ place: place(job, 0, 10), parts: [laneRows(0, 4), laneRows(4, 10)] }, always);
        await first.write({ place: place(job, 10, 15), parts: [laneRows(10, 15)] }, always);
        const next = await fixture.open(job);
        await next.write({ place: place(job, 4, 12), parts: [laneRows(4, 12)] }, always);
        await next.write({ place: place(job, 12, 20), parts: [laneRows(12, 20)] }, always);
        // The former owner wakes up with what it had on its way.
        await first.write({ place: place(job, 15, 18), parts: [laneRows(15, 18)] }, always);
        await expectRows(job, range(0, 20));
        await Promise.all([first.close(), next.close()]);
      });

      test('two owners that overlap leave every row once', async () => {
        const job = newJob();
        const [a, b] = await Promise.all([fixture.open(job), fixture.open(job)]);
        await Promise.all([
          a.write({ place: place(job, 0, 30), parts: [laneRows(0, 30)] }, always),
          b.write({ place: place(job, 0, 20), parts: [laneRows(0, 20)] }, always),
        ]);
        await expectRows(job, range(0, 30));
        await Promise.all([a.close(), b.close()]);
      });

      test('a run that continues lacks nothing and doubles nothing; one that begins anew writes anew', async () => {
        const job = newJob();
        const sink = await fixture.open(job);
        await sink.write({ place: place(job, 0, 10), parts: [laneRows(0, 10)] }, always);
        await sink.write({ place: place(job, 6, 14, { run: 2, continues: true }), parts: [laneRows(6, 14)] }, always);
        await expectRows(job, range(0, 14));
        await sink.write({ place: place(job, 12, 16, { run: 3 }), parts: [laneRows(12, 16)] }, always);
        const found = [...(await fixture.read(job))].sort((x, y) => x - y);
        if (promises.exactlyOnce) assert.deepEqual(found, [...range(0, 12), 12, 12, 13, 13, 14, 15]);
        await sink.close();
      });
    }

    if (promises.epochs) {
      test('an epoch that is done again is there once, whoever does it', async () => {
        const job = newJob();
        const [a, b] = await Promise.all([fixture.open(job), fixture.open(job)]);
        const evens = range(0, 40).filter((id) => id % 2 === 0);
        const odds = range(0, 40).filter((id) => id % 2 === 1);
        // One of two workers dies behind its part; both parts fall to the other, and then a zombie comes.
        await a.write({ place: epochPlace(job, 0, { workers: 2 }), parts: [stateRows(evens)] }, always);
        const again = epochPlace(job, 0, { token: 2 });
        await b.write({ place: again, parts: [stateRows(range(0, 40))] }, always);
        await a.write({ place: epochPlace(job, 0, { worker: 1, workers: 2 }), parts: [stateRows(odds)] }, always);
        await expectRows(job, range(0, 40));
        await b.write({ place: epochPlace(job, 1, { token: 2 }), parts: [stateRows(range(40, 50))] }, always);
        await a.write({ place: epochPlace(job, 0, { token: 1 }), parts: [stateRows(range(0, 40))] }, always);
        await expectRows(job, range(0, 50));
        await Promise.all([a.close(), b.close()]);
      });

      test('epochs of several workers and epochs without rows', async () => {
        const job = newJob();
        const sinks = await Promise.all([fixture.open(job), fixture.open(job), fixture.open(job)]);
        for (const epoch of [0, 1, 2]) {
          await Promise.all(
            sinks.map((sink, worker) => {
              const ids = epoch === 1 ? [] : range(epoch * 30 + worker * 10, epoch * 30 + worker * 10 + 10);
              const parts = ids.length === 0 ? [] : [stateRows(ids, (row) => worker * 8 + (row % 8))];
              return sink.write({ place: epochPlace(job, epoch, { worker, workers: 3 }), parts }, always);
            }),
          );
        }
        await expectRows(job, [...range(0, 30), ...range(60, 90)]);
        await Promise.all(sinks.map((sink) => sink.close()));
      });
    }

    test('nothing is written without a permit', async () => {
      const job = newJob();
      const sink = await fixture.open(job);
      const batch = promises.lanes
        ? { place: place(job, 0, 5), parts: [laneRows(0, 5)] }
        : { place: epochPlace(job, 0), parts: [stateRows(range(0, 5))] };
      await assert.rejects(sink.write(batch, never), (error) => isWeirError(error, 'FENCED'));
      await expectRows(job, []);
      const { inFlight, blockedBy } = sink.stats();
      assert.deepEqual({ inFlight, blockedBy }, { inFlight: 0, blockedBy: null });
      await sink.close();
    });
  });
}
