/** The contract of MetaStore, for every implementation. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import type { EpochHead, EpochPlan, LeaseRow, SavepointRow } from '../../core/epoch/types.ts';
import { EPOCH_FORMAT_VERSION, PLAN_SLOTS } from '../../core/epoch/types.ts';
import { zeroCounters } from '../../core/lane/position.ts';
import {
  epoch,
  fence,
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

const sampleLaneId = laneId({ source: 'clicks', topicId: topicId('5b1c4b6e-0d6c'), partition: partition(0) });

/** The head of a stateful job that uses every field. */
export function sampleHead(name: string, ver: number, changes: Partial<EpochHead> = {}): EpochHead {
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    job: jobName(name),
    run: run(1),
    ver,
    nonce: randomUUID(),
    fence: fence(3),
    planned: epoch(ver),
    committed: epoch(ver - 1),
    epochTsUs: 1_700_000_000_000_000 + ver * 1024,
    positions: { [sampleLaneId]: offset(9_007_199_254_740_990) },
    starts: { [sampleLaneId]: offset(0) },
    eventTimes: [null, -62_135_596_800_000_000, 1_700_000_000_000_001],
    watermarkUs: null,
    evictUs: 1_699_999_999_000_000,
    placement: 'job/1/placement',
    ends: { [sampleLaneId]: offset(12) },
    snapshot: { epoch: epoch(0), manifest: 'job/1/manifest-é' },
    formerSnapshot: null,
    base: null,
    counters: { ...zeroCounters, read: 7 },
    late: { 'count by "key"': 3 },
    ...changes,
  };
}

export function samplePlan(at: number, changes: Partial<EpochPlan> = {}): EpochPlan {
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    epoch: epoch(at),
    epochTsUs: 1_700_000_000_000_000 + at * 1024,
    token: fence(3),
    ranges: { [sampleLaneId]: { from: offset(at * 10), to: offset(at * 10 + 10) } },
    lateUs: null,
    evictUs: -1,
    idle: ['orders'],
    statics: { countries: 2 },
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

    // ---------------------------------------------------------------------------------------------- stateful jobs

    test('a stateful job that is not there', async () => {
      const missing = jobName(fresh());
      assert.equal(await store.readEpochs(missing, run(1)), undefined);
      assert.deepEqual(await store.casEpochs(2, sampleHead(missing, 3), [samplePlan(3)]), {
        kind: 'rejected',
        current: undefined,
      });
      await assert.rejects(store.readPlans(missing, run(1), epoch(3), epoch(3)), { code: 'NOT_FOUND' });
      assert.equal(await store.readEpochs(missing, run(1)), undefined, 'a refused change leaves nothing behind');
    });

    test('head and plans are seen whole and together, by every client', async () => {
      const head = sampleHead(fresh(), 1);
      const plans = [samplePlan(0), samplePlan(1, { lateUs: 5, idle: [], ranges: {}, statics: {} })];
      assert.deepEqual(await store.casEpochs(0, head, plans), { kind: 'applied' });
      assert.deepEqual(await second.readEpochs(head.job, head.run), head);
      assert.deepEqual(await second.readPlans(head.job, head.run, epoch(0), epoch(1)), plans);
      assert.deepEqual(await second.readPlans(head.job, head.run, epoch(1), epoch(1)), [plans[1]]);
      assert.deepEqual(await second.readPlans(head.job, head.run, epoch(1), epoch(0)), []);
      await assert.rejects(second.readPlans(head.job, head.run, epoch(0), epoch(2)), { code: 'NOT_FOUND' });
    });

    test('a refused change of the head writes no plan', async () => {
      const first = sampleHead(fresh(), 1);
      const kept = samplePlan(0);
      await store.casEpochs(0, first, [kept]);
      const other = samplePlan(0, { token: fence(9) });
      for (const expected of [0, 4])
        assert.deepEqual(
          await second.casEpochs(expected, sampleHead(first.job, expected + 1), [other, samplePlan(1)]),
          {
            kind: 'rejected',
            current: first,
          },
        );
      assert.deepEqual(await store.readPlans(first.job, first.run, epoch(0), epoch(0)), [kept]);
      await assert.rejects(store.readPlans(first.job, first.run, epoch(1), epoch(1)), { code: 'NOT_FOUND' });
    });

    test('a change without plans keeps those that are there', async () => {
      const head = sampleHead(fresh(), 1);
      await store.casEpochs(0, head, [samplePlan(0)]);
      const next = sampleHead(head.job, 2);
      assert.deepEqual(await second.casEpochs(1, next, []), { kind: 'applied' });
      assert.deepEqual(await store.readEpochs(head.job, head.run), next);
      assert.deepEqual(await store.readPlans(head.job, head.run, epoch(0), epoch(0)), [samplePlan(0)]);
    });

    test('plans live in a ring of slots', async () => {
      const head = sampleHead(fresh(), 1);
      const before = Array.from({ length: 3 }, (_, index) => samplePlan(PLAN_SLOTS - 3 + index));
      await store.casEpochs(0, head, [samplePlan(0), samplePlan(1), ...before]);
      const after = [samplePlan(PLAN_SLOTS), samplePlan(PLAN_SLOTS + 1)];
      await store.casEpochs(1, sampleHead(head.job, 2), after);
      const read = (from: number, to: number): Promise<EpochPlan[]> =>
        second.readPlans(head.job, head.run, epoch(from), epoch(to));
      assert.deepEqual(await read(PLAN_SLOTS - 2, PLAN_SLOTS + 1), [...before.slice(1), ...after]);
      await assert.rejects(read(0, 0), { code: 'NOT_FOUND' });
      await assert.rejects(read(0, PLAN_SLOTS + 1), { code: 'NOT_FOUND' });
    });

    test('many plans in one change and in one answer', async () => {
      const head = sampleHead(fresh(), 1);
      const ranges = Object.fromEntries(
        Array.from({ length: 60 }, (_, index) => [`${sampleLaneId}${index}`, { from: offset(0), to: offset(index) }]),
      ) as EpochPlan['ranges'];
      const plans = Array.from({ length: 300 }, (_, index) => samplePlan(index, { ranges }));
      assert.equal((await store.casEpochs(0, head, plans)).kind, 'applied');
      assert.deepEqual(await second.readPlans(head.job, head.run, epoch(0), epoch(299)), plans);
    });

    test('heads are told apart by job and run', async () => {
      const head = sampleHead(fresh(), 1);
      const other = sampleHead(head.job, 1, { run: run(2), planned: epoch(5) });
      await store.casEpochs(0, head, [samplePlan(0)]);
      await store.casEpochs(0, other, [samplePlan(1)]);
      assert.deepEqual(await second.readEpochs(head.job, run(1)), head);
      assert.deepEqual(await second.readEpochs(head.job, run(2)), other);
      await assert.rejects(second.readPlans(head.job, run(2), epoch(0), epoch(0)), { code: 'NOT_FOUND' });
    });

    test('of two leaders that change one head at once exactly one did, and its plans stand', async () => {
      const name = jobName(fresh());
      for (let ver = 0; ver < 10; ver++) {
        const rivals = [fence(10), fence(11)].map((token) => ({
          head: sampleHead(name, ver + 1, { fence: token }),
          plan: samplePlan(ver, { token }),
        }));
        const outcomes = await Promise.all(
          rivals.map(({ head, plan }, index) => (index === 0 ? store : second).casEpochs(ver, head, [plan])),
        );
        const now = await store.readEpochs(name, run(1));
        const winner = rivals.findIndex(({ head }) => head.nonce === now?.nonce);
        assert.ok(winner >= 0, `version ${ver + 1} is one of the two`);
        for (const [index, { kind }] of outcomes.entries())
          assert.ok(kind === 'unknown' || (kind === 'applied') === (index === winner), `outcome ${index}: ${kind}`);
        assert.deepEqual(await second.readPlans(name, run(1), epoch(ver), epoch(ver)), [rivals[winner]?.plan]);
      }
    });

    // ------------------------------------------------------------------------------------------------- the lease

    test('the lease is one chain for all', async () => {
      const start = (await store.readLease())?.ver ?? 0;
      const next = (ver: number, holder: string): LeaseRow => ({
        ver,
        nonce: randomUUID(),
        token: fence(ver),
        holder,
        address: '127.0.0.1:7077',
        httpAddress: 'http://127.0.0.1:7080',
        beat: ver,
      });
      const first = next(start + 1, 'a');
      assert.deepEqual(await store.casLease(start, first), { kind: 'applied' });
      assert.deepEqual(await second.readLease(), first);
      assert.deepEqual(await second.casLease(start, next(start + 1, 'b')), { kind: 'rejected', current: first });
      const taken = next(start + 2, 'b');
      assert.deepEqual(await second.casLease(start + 1, taken), { kind: 'applied' });
      assert.deepEqual(await store.casLease(start + 1, next(start + 2, 'a')), { kind: 'rejected', current: taken });
    });

    // ------------------------------------------------------------------------------------------------ savepoints

    test('savepoints are put, listed and deleted', async () => {
      const job = jobName(fresh());
      const sample = (name: string): SavepointRow => ({
        formatVersion: EPOCH_FORMAT_VERSION,
        job,
        name,
        run: run(2),
        revision: 3,
        definition: 'sha256:abc',
        head: sampleHead(job, 9),
        createdAt: 1_700_000_000_000,
        bytes: 123_456_789_012,
      });
      assert.deepEqual(await store.listSavepoints(job), []);
      assert.equal(await store.getSavepoint(job, 'b'), undefined);
      const [a, b] = [sample('a'), sample('b')];
      for (const row of [b, a, a]) await store.putSavepoint(row);
      assert.deepEqual(await second.getSavepoint(job, 'b'), b);
      assert.deepEqual(await second.listSavepoints(job), [a, b]);
      await second.deleteSavepoint(job, 'a');
      await second.deleteSavepoint(job, 'never there');
      assert.deepEqual(await store.listSavepoints(job), [b]);
      assert.deepEqual(await store.listSavepoints(jobName(fresh())), []);
    });

    test("the store's clock is near ours", async () => {
      const before = Date.now();
      const stored = await store.now();
      assert.ok(Math.abs(stored - before) < 60_000, `${stored} against ${before}`);
    });
  });
}

function shuffle<T>(items: T[]): void {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
}
