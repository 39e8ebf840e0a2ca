import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Clock } from '../core/clock.ts';
import { jobName, revision, run, timestampUs } from '../core/ids.ts';
import { zeroCounters } from '../core/lane/position.ts';
import type { JobRow } from '../core/meta.ts';
import { limitWorkers } from './scale.ts';
import type { JobView, LaneView, WorkerView } from './views.ts';
import type { Look } from './watch.ts';
import { ClusterWatch } from './watch.ts';

const lane = (partition: number, committedOffset: number, more: Partial<LaneView> = {}): LaneView => ({
  lane: `users/t/${partition}`,
  source: 'users',
  topic: 'users',
  partition,
  owner: 'w1',
  generation: 1,
  state: 'running',
  code: null,
  message: null,
  committedOffset,
  readOffset: committedOffset,
  endOffset: 100,
  lag: 100 - committedOffset,
  counters: zeroCounters,
  ...more,
});

function view(row: Partial<JobRow>, lanes: readonly LaneView[], read = 0): JobView {
  return {
    row: {
      formatVersion: 1,
      name: jobName('users'),
      ver: 1,
      nonce: '',
      revision: revision(1),
      definition: 'd',
      run: run(1),
      runStart: timestampUs(0),
      stride: 32,
      start: { kind: 'initial' },
      state: 'running',
      reason: null,
      lanes: {},
      submittedAt: 0,
      changedAt: 0,
      ...row,
    },
    labels: {},
    protocol: 'lanes',
    sources: [{ name: 'users', connector: 'kafka', options: {}, topic: 'users' }],
    sinks: [{ connector: 'cassandra', options: {}, description: 'ks.users' }],
    topics: ['users'],
    operators: [],
    lanes,
    counters: { ...zeroCounters, read, passed: read, rowsOut: read },
    lag: 0,
    epochs: null,
    schemaChanges: [],
    recordsPerSecond: 0,
    rowsPerSecond: 0,
    latencyMsP50: null,
    latencyMsP99: null,
  };
}

const worker = (id: string, state: WorkerView['state'] = 'alive'): WorkerView => ({
  id,
  state,
  httpAddress: '',
  threads: 1,
  version: '1',
  lanes: 0,
  rssBytes: 0,
  eventLoopDelayMs: 0,
  heartbeatAgeMs: 0,
});

/** A cluster that is what the test says, and a clock that stands. */
function setUp(): {
  cluster: { jobs: JobView[]; workers: WorkerView[]; leads: boolean };
  look: (ms?: number) => Look;
  watch: ClusterWatch;
} {
  const cluster = { jobs: [] as JobView[], workers: [] as WorkerView[], leads: true };
  let now = 1000;
  const clock: Clock = {
    now: () => now,
    mono: () => now,
    sleep: () => Promise.resolve(),
    timer: () => () => undefined,
  };
  const watch = new ClusterWatch(
    { jobs: () => cluster.jobs, workers: () => cluster.workers },
    clock,
    () => cluster.leads,
  );
  let last: Look | null = null;
  watch.subscribe((look) => (last = look));
  return {
    cluster,
    watch,
    look: (ms = 500) => {
      now += ms;
      watch.look();
      assert.ok(last);
      return last;
    },
  };
}

const messages = ({ events }: Look): string[] => events.map(({ message }) => message);

suite('events', () => {
  test('what was there when this master began to lead is no event; what changes is', () => {
    const { cluster, look } = setUp();
    cluster.jobs = [view({}, [lane(0, 1)])];
    cluster.workers = [worker('w1')];
    assert.deepEqual(messages(look()), ['This master leads.']);
    assert.deepEqual(messages(look()), []);
    cluster.jobs = [view({ revision: revision(2), run: run(2), state: 'starting' }, [lane(0, 1)])];
    assert.deepEqual(messages(look()), ['Job users was changed: revision 2, run 2.', 'Job users is starting.']);
    const reason = { code: 'SINK_SCHEMA', message: 'There is no column a.' };
    cluster.jobs = [view({ revision: revision(2), run: run(2), state: 'failed', reason }, [lane(0, 1)])];
    const [failed] = look().events;
    assert.deepEqual(
      [failed?.level, failed?.code, failed?.message],
      ['error', 'SINK_SCHEMA', 'Job users is failed: There is no column a.'],
    );
    cluster.jobs = [];
    assert.deepEqual(messages(look()), ['Job users was deleted.']);
  });

  test('workers come, drain, fall silent and go; partitions move and have troubles', () => {
    const { cluster, look } = setUp();
    look();
    cluster.workers = [worker('w1'), worker('w2')];
    assert.deepEqual(messages(look()), ['Worker w1 joined.', 'Worker w2 joined.']);
    cluster.workers = [worker('w1', 'draining'), worker('w2', 'silent')];
    assert.deepEqual(messages(look()), ['Worker w1 is draining.', 'Worker w2 is silent.']);
    cluster.workers = [];
    assert.deepEqual(messages(look()), ['Worker w1 left.', 'Worker w2 is gone; what it had moves to others.']);
    cluster.jobs = [view({}, [lane(0, 1), lane(1, 1)])];
    look();
    cluster.jobs = [
      view({}, [lane(0, 1, { owner: 'w2' }), lane(1, 1, { state: 'blocked', message: 'The sink is full.' })]),
    ];
    assert.deepEqual(messages(look()), [
      'Partition 0 of users in job users goes to worker w2.',
      'Partition 1 of users in job users is blocked: The sink is full.',
    ]);
    assert.deepEqual(messages(look()), [], 'the same trouble is told once');
    cluster.jobs = [
      view(
        {},
        [0, 1, 2, 3, 4].map((at) => lane(at, 1, { owner: 'w1' })),
      ),
    ];
    look();
    cluster.jobs = [
      view(
        {},
        [0, 1, 2, 3, 4].map((at) => lane(at, 1, { owner: 'w9' })),
      ),
    ];
    assert.deepEqual(messages(look()), ['5 partitions of job users move.']);
  });

  test('a state that does not last until the next look is told too', () => {
    const { cluster, look, watch } = setUp();
    cluster.jobs = [view({}, [])];
    look();
    watch.lookAtJob(() => view({ state: 'stopped' }, []));
    watch.lookAtJob(() => view({ state: 'running' }, []));
    assert.deepEqual(messages(look()), ['Job users is stopped.', 'Job users is running.']);
  });

  test('numbers go up, notes between looks are told, and a master that does not lead knows nothing', () => {
    const { cluster, look, watch } = setUp();
    look();
    watch.note({ level: 'info', kind: 'job', job: 'users', message: 'Savepoint a was made.' });
    const [note] = look().events;
    assert.deepEqual([note?.seq, note?.message], [2, 'Savepoint a was made.']);
    assert.deepEqual(
      watch.eventsSince(1).map(({ seq }) => seq),
      [2],
    );
    assert.equal(watch.lastEvents(10, 'users').length, 1);
    cluster.leads = false;
    watch.look();
    watch.lookAtJob(() => assert.fail('nobody is asked'));
    assert.deepEqual(watch.lastEvents(10), []);
  });
});

suite('progress', () => {
  test('a look that saw records is a batch of a stateless job, by Spark’s names', () => {
    const { cluster, look, watch } = setUp();
    cluster.jobs = [view({}, [lane(0, 10), lane(1, -1)], 10)];
    assert.deepEqual(look().progress, [], 'what was done before is no batch');
    cluster.jobs = [view({}, [lane(0, 30), lane(1, 5)], 35)];
    const [batch] = look(500).progress;
    assert.ok(batch);
    assert.deepEqual(
      [batch.batchId, batch.numInputRows, batch.inputRowsPerSecond, batch.batchDuration, batch.sink.numOutputRows],
      [0, 25, 50, 500, 25],
    );
    assert.deepEqual(batch.sources[0]?.startOffset, { users: { 0: 10 } });
    assert.deepEqual(batch.sources[0]?.endOffset, { users: { 0: 30, 1: 5 } });
    assert.deepEqual(batch.sources[0]?.latestOffset, { users: { 0: 100, 1: 100 } });
    assert.equal(batch.sources[0]?.metrics['maxOffsetsBehindLatest'], '95');
    assert.deepEqual(
      batch.partitions.map(({ partition, from, to, rows }) => [partition, from, to, rows]),
      [[0, 10, 30, 20]],
    );
    assert.deepEqual(look().progress, [], 'nothing was read');
    assert.equal(watch.progressOf('users', 5).length, 1);
    cluster.jobs = [view({ run: run(2) }, [lane(0, 3)], 3)];
    assert.deepEqual(look().progress, [], 'another run begins anew');
  });

  test('of many jobs each keeps few batches', () => {
    const { cluster, look, watch } = setUp();
    const names = Array.from({ length: 1000 }, (_, at) => jobName(`job-${at}`));
    for (let read = 0; read < 12; read++) {
      cluster.jobs = names.map((name) => view({ name }, [lane(0, read)], read));
      look();
    }
    assert.equal(watch.progressOf('job-7', 100).length, 6);
  });
});

suite('scale', () => {
  test('workers beyond the limit are as if they were leaving; those that hold something stay', () => {
    const workers = ['a', 'b', 'c'].map((id) => ({ id, draining: false }));
    const left = (max: number | null, hold: readonly string[]): string[] =>
      limitWorkers(workers, max, new Set(hold))
        .filter(({ draining }) => !draining)
        .map(({ id }) => id);
    assert.deepEqual(left(null, []), ['a', 'b', 'c']);
    assert.deepEqual(left(2, []), ['a', 'b']);
    assert.deepEqual(left(1, ['c']), ['c']);
    assert.deepEqual(left(5, []), ['a', 'b', 'c']);
    const draining = [
      { id: 'a', draining: true },
      { id: 'b', draining: false },
    ];
    assert.deepEqual(limitWorkers(draining, 1, new Set(['a'])), [draining[0], draining[1]]);
  });
});
