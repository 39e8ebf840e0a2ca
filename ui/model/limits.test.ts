import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { JobPlan, JobView, LaneView, WorkerView } from '../wire.ts';
import type { LimitFacts } from './limits.ts';
import { attentionOf, limitsOf } from './limits.ts';

const counters = { read: 1000, passed: 1000, filtered: 0, skipped: 0, dead: 0, rowsOut: 1000 };

function lane(partition: number, changes: Partial<LaneView> = {}): LaneView {
  return {
    lane: `users/${partition}`,
    source: 'users',
    topic: 'users_created',
    partition,
    owner: 'w1',
    generation: 1,
    state: 'running',
    code: null,
    message: null,
    committedOffset: 10,
    readOffset: 10,
    endOffset: 10,
    lag: 0,
    counters,
    ...changes,
  };
}

function worker(id: string, changes: Partial<WorkerView> = {}): WorkerView {
  const figures = { threads: 2, lanes: 2, rssBytes: 1, eventLoopDelayMs: 1, heartbeatAgeMs: 100 };
  return { id, state: 'alive', httpAddress: '', version: '', ...figures, ...changes };
}

function facts(lanes: readonly LaneView[], changes: Partial<LimitFacts> = {}, view: Partial<JobView> = {}): LimitFacts {
  const row = { name: 'job', state: 'running', reason: null };
  const figures = { recordsPerSecond: 100, rowsPerSecond: 100, latencyMsP50: 5, latencyMsP99: 9 };
  const lag = lanes.reduce((sum, one) => sum + one.lag, 0);
  return {
    view: { row, lanes, counters, lag, epochs: null, operators: [], ...figures, ...view } as unknown as JobView,
    workers: [worker('w1')],
    lagTrend: 0,
    plan: null,
    progress: [],
    ...changes,
  };
}

const unknown = { rowsPerSecond: null, busyRatio: null, blockedRatio: null, stateRows: null, stateBytes: null };

const titles = (given: LimitFacts): string[] => limitsOf(given).map(({ title }) => title);

suite('what limits a job', () => {
  test('nothing, when it keeps up', () => {
    assert.match(titles(facts([lane(0), lane(1)]))[0] ?? '', /^Nothing limits this job/);
  });

  test('a sink that does not answer, said once for all its partitions', () => {
    const blocked = { state: 'blocked', code: 'SINK_UNAVAILABLE', message: 'Cassandra does not answer.' };
    const [first, ...rest] = limitsOf(facts([lane(0, blocked), lane(1, blocked), lane(2)]));
    assert.equal(first?.title, '2 of 3 partitions cannot go on: the sink does not take rows.');
    assert.match(first?.text ?? '', /Cassandra does not answer.*SINK_UNAVAILABLE/);
    assert.ok(!rest.some(({ gravity }) => gravity === 'error' || gravity === 'good'));
  });

  test('no worker at all', () => {
    assert.match(titles(facts([lane(0, { owner: null })], { workers: [] }))[0] ?? '', /^No worker is connected/);
  });

  test('a silent worker and an overloaded one that have something of it', () => {
    const workers = [
      worker('w1', { state: 'silent', heartbeatAgeMs: 7000 }),
      worker('w2', { eventLoopDelayMs: 400 }),
      worker('w3', { eventLoopDelayMs: 900 }),
    ];
    const slow = { latencyMsP99: 3000 };
    const found = titles(facts([lane(0), lane(1, { owner: 'w2' })], { workers }, slow));
    assert.match(found[0] ?? '', /^Worker w1 has been silent for 7 s/);
    assert.match(found[1] ?? '', /^Worker w2 is overloaded: its event loop runs 400 ms late/);
    assert.equal(found.length, 2, 'w3 has nothing of this job');
  });

  test('one partition that holds the lag', () => {
    const found = titles(facts([lane(0, { lag: 9000 }), lane(1, { lag: 100 }), lane(2), lane(3)]));
    assert.equal(found[0], 'Partition 0 of users_created holds 99 % of the lag.');
    assert.ok(
      !titles(facts([lane(0, { lag: 5000 }), lane(1, { lag: 4900 }), lane(2, { lag: 5100 })])).some((title) =>
        title.includes('holds'),
      ),
    );
  });

  test('falling behind, catching up', () => {
    const lanes = [lane(0, { lag: 3000 }), lane(1, { lag: 3000 })];
    assert.match(titles(facts(lanes, { lagTrend: 50 }))[0] ?? '', /falls behind by 50 records a second/);
    assert.match(titles(facts(lanes, { lagTrend: -100 }))[0] ?? '', /catches up: about 1 min left/);
  });

  test('a job that is behind waits for its threads or for a sink, as the workers measure them', () => {
    const behind = [lane(0, { lag: 3000 }), lane(1, { lag: 3000 })];
    const plan = {
      sinks: [{ description: 'fast' }, { description: 'shop.orders' }],
      trigger: {},
    } as unknown as JobPlan;
    const of = (blocked: number | null, stage: number, ...sinks: readonly number[]): Partial<JobView> => ({
      operators: [
        { ...unknown, id: 'source0', blockedRatio: blocked },
        { ...unknown, id: 'stage0', busyRatio: stage },
        ...sinks.map((busyRatio, index) => ({ ...unknown, id: `sink${index}`, busyRatio })),
      ],
    });
    const slow = limitsOf(facts(behind, { plan }, of(0.91, 0.2, 0.8, 0.97)));
    assert.equal(slow[0]?.title, 'The sink shop.orders is what this job waits for.');
    assert.match(slow[0]?.text ?? '', /acknowledgement 97 % of the time, and partitions are not read on 91 % of it/);
    const stateful = limitsOf(facts(behind, {}, of(null, 0.2, 0.8)));
    assert.equal(stateful[0]?.title, 'A sink is what this job waits for.');
    assert.doesNotMatch(stateful[0]?.text ?? '', /not read on/, 'that is not measured for jobs with state');
    assert.match(titles(facts(behind, {}, of(0.9, 0.96, 0.9)))[0] ?? '', /^The threads of the workers/);
    const busy = /what this job waits for/;
    assert.ok(!titles(facts(behind, {}, of(0.1, 0.3, 0.4))).some((title) => busy.test(title)), 'nothing is busy');
    assert.ok(!titles(facts([lane(0)], {}, of(0, 0.1, 0.99))).some((title) => busy.test(title)), 'it keeps up');
    const epochs = (planned: number, epochMsP99: number | null): Partial<JobView> =>
      ({ ...of(null, 0.1, 0.99), epochs: { planned, committed: 4, epochMsP99 } }) as unknown as Partial<JobView>;
    const named = (view: Partial<JobView>): boolean => titles(facts([], {}, view)).some((title) => busy.test(title));
    assert.deepEqual(
      [epochs(5, null), epochs(5, 3000), epochs(5, 20), epochs(4, 3000)].map(named),
      [true, true, false, false],
      'an epoch that is under way for long',
    );
  });

  test('the longest phase of slow batches', () => {
    const progress = [
      {
        batchId: 1,
        numInputRows: 1,
        batchDuration: 2000,
        durationMs: { map: 100, addBatch: 1900, triggerExecution: 2000 },
      },
    ];
    const found = titles(facts([lane(0)], { progress }));
    assert.equal(found[0], '95 % of a batch goes to exchange, state and sinks.');
  });

  test('a job at rest says why', () => {
    const row = { name: 'job', state: 'failed', reason: { code: 'SINK_SCHEMA', message: 'No column n.' } };
    const [only, ...rest] = limitsOf(facts([lane(0)], {}, { row } as unknown as Partial<JobView>));
    assert.match(only?.text ?? '', /No column n\. \(SINK_SCHEMA\)/);
    assert.deepEqual(rest, []);
  });

  test('the gravest comes first', () => {
    const blocked = { state: 'blocked', code: 'SOURCE_UNAVAILABLE', message: 'no broker', lag: 50_000 };
    const order = limitsOf(
      facts([lane(0, blocked), lane(1)], { lagTrend: 900 }, { counters: { ...counters, dead: 3 } }),
    ).map(({ gravity }) => gravity);
    assert.deepEqual(order, ['error', 'warn', 'warn', 'info']);
  });
});

suite('jobs that need attention', () => {
  const summary = { name: 'job', state: 'running', reason: null, counters, lag: 0, recordsPerSecond: 10, changedAt: 0 };
  const of = (changes: object, trend: number | null = null): string | undefined =>
    attentionOf({ ...summary, ...changes } as never, trend, 60_000)?.title;

  test('only those with a reason', () => {
    assert.equal(of({}), undefined);
    assert.equal(of({ state: 'stopped' }), undefined);
    assert.equal(of({ state: 'failed' }), 'job has failed.');
    assert.equal(of({ state: 'starting' }), 'job does not get going.');
    assert.equal(of({ state: 'starting', changedAt: 55_000 }), undefined);
    assert.equal(of({ lag: 5000, recordsPerSecond: 0 }), 'job stands still.');
    assert.equal(of({ lag: 5000 }, 100), 'job falls behind.');
    assert.equal(of({ counters: { ...counters, dead: 200 } }), 'job sets records aside.');
    assert.equal(of({ reason: { code: 'TOPIC_NOT_FOUND', message: 'no topic' } }), 'job waits.');
  });
});
