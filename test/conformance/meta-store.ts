/** The contract of MetaStore, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import {
  jobName,
  laneId,
  offset,
  partition,
  revision,
  run,
  generation,
  timestampUs,
  topicId,
  workerId,
} from '../../core/ids.ts';
import { changeJob, META_FORMAT_VERSION, type JobRow, type LaneRow, type MetaStore } from '../../core/meta.ts';

export interface MetaStoreFixture {
  readonly store: MetaStore;
  /** Another client on the same data. */
  readonly second: MetaStore;
  close(): Promise<void>;
}

/** A job row that uses every field. */
export function sampleJob(name: string, ver: number, changes: Partial<JobRow> = {}): JobRow {
  const lane = { source: 'users', topicId: topicId('5b1c4b6e-0d6c-4c4e-9e43-0d6ad8f1a001'), partition: partition(3) };
  return {
    formatVersion: META_FORMAT_VERSION,
    name: jobName(name),
    ver,
    nonce: randomUUID(),
    revision: revision(2),
    definition: 'sha256:abc',
    run: run(4),
    runStart: timestampUs(1_700_000_000_000_001),
    stride: 16,
    start: { kind: 'continue', run: run(3), since: run(1), otherwise: 'initial' },
    state: 'running',
    reason: { code: 'SINK_SCHEMA', message: `"quoted" and 'single', a newline\n, an emoji 🙂 and __proto__` },
    lanes: {
      [laneId(lane)]: {
        topic: 'users_created',
        ordinal: 1,
        generation: generation(7),
        owner: workerId('w1-x'),
        previousOwner: null,
        end: offset(9_007_199_254_740_990),
      },
    } as JobRow['lanes'],
    submittedAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_500,
    ...changes,
  };
}

/** Registers the suite; `make` gives a fixture whose data may be shared with other suites (names are unique). */
export function metaStoreContract(name: string, make: () => Promise<MetaStoreFixture>): void {
  describe(`MetaStore contract: ${name}`, () => {
    let fixture: MetaStoreFixture;
    let store: MetaStore;
    let second: MetaStore;
    const unique = randomUUID().slice(0, 8);
    let count = 0;
    const fresh = (): string => `contract-${unique}-${++count}`;

    before(async () => {
      fixture = await make();
      ({ store, second } = fixture);
      await Promise.all([store.prepare(), second.prepare()]);
    });
    after(() => fixture?.close());

    test('prepare may be repeated', async () => {
      await store.prepare();
      await second.prepare();
    });

    test('a job that is not there', async () => {
      const missing = fresh();
      assert.equal(await store.readJob(jobName(missing)), undefined);
      assert.equal(await store.readOwnership(jobName(missing)), undefined);
      assert.ok(!(await store.listJobs()).includes(jobName(missing)));
    });

    test('an applied row is seen whole, at once, by every client and both kinds of read', async () => {
      const row = sampleJob(fresh(), 1);
      assert.deepEqual(await store.casJob(0, row), { kind: 'applied' });
      assert.deepEqual(await second.readJob(row.name), row);
      assert.deepEqual(await second.readOwnership(row.name), row);
      assert.ok((await second.listJobs()).includes(row.name));
    });

    test('ver is a chain: only the change of the current version applies', async () => {
      const first = sampleJob(fresh(), 1);
      assert.equal((await store.casJob(0, first)).kind, 'applied');
      assert.deepEqual(await second.casJob(0, sampleJob(first.name, 1)), { kind: 'rejected', current: first });
      const next = sampleJob(first.name, 2, { state: 'stopped', reason: null, lanes: {} });
      assert.equal((await second.casJob(1, next)).kind, 'applied');
      assert.deepEqual(await store.casJob(1, sampleJob(first.name, 2)), { kind: 'rejected', current: next });
      assert.deepEqual(await store.casJob(5, sampleJob(first.name, 6)), { kind: 'rejected', current: next });
      assert.deepEqual(await store.readJob(first.name), next);
    });

    test('a change of a job that is not there is rejected and creates nothing', async () => {
      const missing = fresh();
      assert.deepEqual(await store.casJob(3, sampleJob(missing, 4)), { kind: 'rejected', current: undefined });
      assert.equal(await store.readJob(jobName(missing)), undefined);
    });

    test('sending the same change again does not apply it twice', async () => {
      const row = sampleJob(fresh(), 1);
      const outcomes = [
        await changeJob(store, systemClock, systemRng, 0, row),
        await changeJob(second, systemClock, systemRng, 0, row),
      ];
      assert.deepEqual(outcomes, [
        { kind: 'applied', row },
        { kind: 'applied', row },
      ]);
      const next = sampleJob(row.name, 2);
      await changeJob(store, systemClock, systemRng, 1, next);
      assert.deepEqual(await changeJob(store, systemClock, systemRng, 0, row), { kind: 'rejected', current: next });
    });

    test('of two writers at one version exactly one wins, every time', async () => {
      const name = fresh();
      for (let ver = 0; ver < 20; ver++) {
        const [a, b] = [sampleJob(name, ver + 1), sampleJob(name, ver + 1)];
        const outcomes = await Promise.all([
          changeJob(store, systemClock, systemRng, ver, a),
          changeJob(second, systemClock, systemRng, ver, b),
        ]);
        const winners = outcomes.filter((outcome) => outcome.kind === 'applied').map((outcome) => outcome.row.nonce);
        assert.equal(winners.length, 1, `version ${ver + 1}`);
        assert.equal((await store.readJob(jobName(name)))?.nonce, winners[0]);
      }
    });

    test('increments by many writers are neither lost nor doubled', async () => {
      const name = fresh();
      await store.casJob(0, sampleJob(name, 1, { stride: 0 }));
      const increment = async (through: MetaStore): Promise<void> => {
        for (;;) {
          const current = await through.readJob(jobName(name));
          assert.ok(current);
          const next = { ...current, ver: current.ver + 1, nonce: randomUUID(), stride: current.stride + 1 };
          if ((await changeJob(through, systemClock, systemRng, current.ver, next)).kind === 'applied') return;
        }
      };
      await Promise.all(Array.from({ length: 12 }, (_, index) => increment(index % 2 === 0 ? store : second)));
      const end = await second.readJob(jobName(name));
      assert.deepEqual([end?.stride, end?.ver], [12, 13]);
    });

    test('definitions are immutable', async () => {
      const hash = `sha256:${randomUUID()}`;
      const text = `first: 'é'\n${'x'.repeat(200_000)}`;
      assert.equal(await store.getDefinition(hash), undefined);
      await store.putDefinition(hash, text);
      await second.putDefinition(hash, text);
      assert.equal(await second.getDefinition(hash), text);
    });

    const sampleLane = (job: string, nextOffset: number, index = 0, changes: Partial<LaneRow> = {}): LaneRow => ({
      job: jobName(job),
      run: run(1),
      source: 'users',
      topicId: topicId('5b1c4b6e-0d6c-4c4e-9e43-0d6ad8f1a001'),
      partition: partition(index),
      position: {
        nextOffset: offset(nextOffset),
        bound: timestampUs(1_700_000_000_000_000 + nextOffset * 8),
        counters: { read: nextOffset, passed: nextOffset, filtered: 0, skipped: 0, dead: 0, rowsOut: nextOffset * 2 },
      },
      ...changes,
    });

    test('a lane at its very beginning and at the largest offset', async () => {
      const zero = sampleLane(fresh(), 0);
      assert.equal(await store.readLane(zero), undefined);
      await store.writeLane(zero);
      assert.deepEqual(await second.readLane(zero), zero);
      const last = sampleLane(zero.job, 0, 0, {
        position: {
          ...zero.position,
          nextOffset: offset(Number.MAX_SAFE_INTEGER),
          bound: timestampUs(Number.MAX_SAFE_INTEGER),
        },
      });
      await store.writeLane(last);
      assert.deepEqual(await second.readLane(zero), last);
    });

    test('a lane keeps the largest position, whatever the order and number of writes', async () => {
      for (let round = 0; round < 5; round++) {
        const job = fresh();
        const writes = [0, 0, 1, 5, 5, 9, 1000, 1000, 1001, 7, 3, 2 ** 40, 2 ** 40].map((position) =>
          sampleLane(job, position),
        );
        shuffle(writes);
        await Promise.all(writes.map((row, index) => (index % 2 === 0 ? store : second).writeLane(row)));
        const expected = sampleLane(job, 2 ** 40);
        assert.deepEqual(await store.readLane(expected), expected);
        await second.writeLane(sampleLane(job, 12));
        assert.deepEqual(await store.readLane(expected), expected, 'a late write does no harm');
      }
    });

    test('a write is seen by the next read of another client', async () => {
      const job = fresh();
      for (let position = 0; position < 20; position++) {
        const row = sampleLane(job, position);
        await store.writeLane(row);
        assert.deepEqual(await second.readLane(row), row);
      }
    });

    test('lanes are told apart by job, run, source, topic id and partition', async () => {
      const job = fresh();
      const lanes = [
        sampleLane(job, 1, 0),
        sampleLane(job, 2, 1),
        sampleLane(job, 3, 0, { source: 'orders' }),
        sampleLane(job, 4, 0, { topicId: topicId('another') }),
      ];
      const others = [sampleLane(job, 5, 0, { run: run(2) }), sampleLane(fresh(), 6, 0)];
      for (const lane of [...lanes, ...others]) await store.writeLane(lane);
      for (const lane of [...lanes, ...others]) assert.deepEqual(await second.readLane(lane), lane);
      const byPosition = (rows: LaneRow[]): LaneRow[] =>
        rows.sort((a, b) => a.position.nextOffset - b.position.nextOffset);
      assert.deepEqual(byPosition(await second.readLanes(jobName(job), run(1))), lanes);
      assert.deepEqual(await second.readLanes(jobName(job), run(2)), [others[0]]);
      assert.deepEqual(await second.readLanes(jobName(job), run(3)), []);
    });
  });
}

function shuffle<T>(items: T[]): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
}
