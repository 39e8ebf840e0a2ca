import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parsePlace } from '../../core/epoch/manifest.ts';
import type { ExchangeMessage } from '../../core/ports.ts';
import { jobText } from '../../engine/epoch/test-run.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const FROM = `FROM ev WATERMARK ts DELAY OF INTERVAL 10 SECONDS`;
const SOURCES = { ev: 'k STRING, ts TIMESTAMP, v BIGINT' };

function sinkOf(table: string, primaryKey: readonly string[]): object {
  return { connector: 'cassandra', keyspace: 'app', table, primaryKey, create: true };
}

const counts = jobText(
  `SELECT k, window.start AS w, count(*) AS n, sum(v) AS s ${FROM} GROUP BY k, window(ts, '10 seconds')`,
  SOURCES,
  { outputMode: 'update', sinks: [sinkOf('counts', ['k', 'w'])] },
);
const COUNTS = 'SELECT k, w, n, s FROM app.counts';

/** An aggregate over the windows of another: two exchanges behind each other. */
const chained = jobText(
  `SELECT window.start AS w, count(*) AS keys, sum(n) AS n FROM
     (SELECT k, window(ts, '10 seconds') AS window, count(*) AS n ${FROM} GROUP BY k, window(ts, '10 seconds'))
   GROUP BY window`,
  SOURCES,
  { outputMode: 'append', sinks: [sinkOf('chained', ['w'])] },
);
const CHAINED = 'SELECT w, keys, n FROM app.chained';

interface Event {
  readonly k: string;
  readonly ts: string;
  readonly v: number;
}

const at = (second: number): string => new Date(Date.UTC(2024, 0, 1) + second * 1000).toISOString();

/** `count` events of some keys in 10 s from `second` on. */
function events(second: number, count: number): Event[] {
  return Array.from({ length: count }, (_, index) => ({
    k: `k${index % 37}`,
    ts: at(second + (index % 10)),
    v: index,
  }));
}

function windowOf({ ts }: Event): string {
  return new Date(Math.floor(Date.parse(ts) / 10_000) * 10_000).toISOString();
}

function sorted(rows: readonly unknown[][]): unknown[][] {
  return [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

/** What the counts of these events are. */
function countsOf(all: readonly Event[]): unknown[][] {
  const groups = Map.groupBy(all, (event) => JSON.stringify([event.k, windowOf(event)]));
  return sorted(
    [...groups].map(([key, of]) => [
      ...(JSON.parse(key) as string[]),
      of.length,
      of.reduce((sum, { v }) => sum + v, 0),
    ]),
  );
}

/** The same of the chained query, for windows that end at or before `watermark` seconds. */
function chainedOf(all: readonly Event[], watermark: number): unknown[][] {
  const windows = Map.groupBy(all, windowOf);
  return sorted(
    [...windows]
      .filter(([start]) => Date.parse(start) + 10_000 <= Date.parse(at(watermark)))
      .map(([start, of]) => [start, new Set(of.map(({ k }) => k)).size, of.length]),
  );
}

/** A cluster with everything appended so far, closed whatever happens. */
async function withCluster(
  job: string,
  names: readonly string[],
  body: (cluster: TestCluster, feed: (second: number) => Promise<void>, all: Event[]) => Promise<void>,
): Promise<void> {
  const cluster = await TestCluster.start(job);
  const all: Event[] = [];
  const feed = async (second: number): Promise<void> => {
    for (const index of [0, 1]) {
      const more = events(second + index, 150);
      await cluster.append('ev', index, more);
      all.push(...more);
    }
  };
  try {
    for (const name of names) cluster.addWorker(name);
    await cluster.use(names);
    await body(cluster, feed, all);
  } finally {
    await cluster.close();
  }
}

/** The next message that fits is changed as told, once. */
function once(
  cluster: TestCluster,
  fits: (message: ExchangeMessage) => boolean,
  change: (message: ExchangeMessage) => readonly ExchangeMessage[],
): { readonly happened: () => boolean } {
  let done = false;
  cluster.network.intercept = (_, message) => {
    if (done || !fits(message)) return [message];
    done = true;
    return change(message);
  };
  return { happened: () => done };
}

suite('epochs on one to three workers', () => {
  for (const names of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    test(`${names.length} count every record once, epoch by epoch`, () =>
      withCluster(counts, names, async (cluster, feed, all) => {
        for (let round = 0; round < 4; round++) {
          await feed(round * 5);
          await cluster.step();
        }
        assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
        const { read, passed, dead } = cluster.head.counters;
        assert.deepEqual([read, passed, dead], [all.length, all.length, 0]);
        assert.deepEqual(cluster.troubles(), []);
      }));

    test(`${names.length} aggregate aggregates`, () =>
      withCluster(chained, names, async (cluster, feed, all) => {
        for (let round = 0; round < 5; round++) {
          await feed(round * 10);
          await cluster.step();
        }
        await cluster.step();
        // Greatest time 50 s, 10 s delay.
        const expected = chainedOf(all, 40);
        assert.equal(expected.length, 4);
        assert.deepEqual(await cluster.rows(CHAINED), expected);
      }));
  }

  test('epochs are ordered before those in front of them are done', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      const plans = [];
      for (let round = 0; round < 3; round++) {
        await feed(round * 5);
        const plan = await cluster.planNext();
        cluster.order({ plan, attempt: 0 });
        await cluster.mapped({ plan, attempt: 0 });
        plans.push(plan);
      }
      for (const plan of plans) await cluster.commit(plan, await cluster.done({ plan, attempt: 0 }));
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));

  test('records that cannot be read are dead letters of the epoch', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      await feed(0);
      await cluster.append('ev', 1, ['not JSON']);
      await cluster.step();
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
      assert.deepEqual(await cluster.rows('SELECT topic, partition, offset, code FROM weir.dead_letters'), [
        ['ev', 1, 150, 'RECORD_NOT_JSON'],
      ]);
      assert.equal(cluster.head.counters.dead, 1);
    }));
});

suite('another attempt of an epoch', () => {
  test('sends again what was folded when an END got lost', () =>
    withCluster(chained, ['a', 'b', 'c'], async (cluster, feed, all) => {
      for (let round = 0; round < 4; round++) {
        await feed(round * 10);
        await cluster.step();
      }
      await feed(40);
      const lost = once(
        cluster,
        ({ epoch, end, fromStage }) => epoch === 4 && end !== null && fromStage === 1,
        () => [],
      );
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      await waitFor('an END to be lost', lost.happened);
      cluster.order({ plan, attempt: 1 });
      await cluster.mapped({ plan, attempt: 1 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
      await cluster.step();
      assert.deepEqual(await cluster.rows(CHAINED), chainedOf(all, 40));
      assert.deepEqual(
        [...cluster.workers.values()].map(({ restored }) => restored.length),
        [1, 1, 1],
        'nothing was restored but the empty state of the beginning',
      );
    }));

  test('is asked for when a frame came twice', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      await feed(0);
      once(
        cluster,
        ({ rowCount }) => rowCount > 0,
        (message) => [message, message],
      );
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await waitFor('trouble', () => cluster.troubles().length > 0);
      assert.deepEqual(
        cluster.troubles().map(({ epoch, attempt, retry, code }) => ({ epoch, attempt, retry, code })),
        [{ epoch: 0, attempt: 0, retry: true, code: 'PEER_UNREACHABLE' }],
      );
      cluster.order({ plan, attempt: 1 });
      await cluster.mapped({ plan, attempt: 1 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));

  test('takes no frames of the one before', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      await feed(0);
      const held: ExchangeMessage[] = [];
      cluster.network.intercept = (to, message) => {
        if (to !== 'b' || message.attempt !== 0) return to === 'b' ? [...held.splice(0), message] : [message];
        held.push(message);
        return [];
      };
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await waitFor('frames to be held', () => held.some(({ end }) => end !== null));
      cluster.order({ plan, attempt: 1 });
      await cluster.mapped({ plan, attempt: 1 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
      assert.deepEqual(held, [], 'they came late');
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));

  test('under a new leader writes later; orders of the old one are ignored', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      await feed(0);
      await cluster.step();
      await feed(5);
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.done({ plan, attempt: 0 });
      cluster.token = 2;
      const { assignment } = cluster;
      assert.ok(assignment);
      await cluster.prepare(assignment);
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      const reports = [...cluster.workers.values()].map(({ reports: all_ }) => all_);
      await waitFor('the new leader to be answered', () =>
        reports.every((of) => of.some(({ token, done }) => token === 2 && done?.epoch === plan.epoch)),
      );
      await cluster.commit(plan, await cluster.done({ plan, attempt: 0 }));
      cluster.token = 1;
      const before = reports.map((of) => of.length);
      cluster.order({ plan: { ...plan, epoch: 9 as never }, attempt: 0 });
      cluster.token = 2;
      await feed(10);
      await cluster.step();
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
      assert.ok(reports.every((of, index) => !of.slice(before[index]).some(({ token }) => token === 1)));
    }));
});

suite('key groups that come to another worker', () => {
  for (const snapshot of ['no', 'changed'] as const) {
    for (const [job, select, name] of [
      [counts, COUNTS, 'counts'],
      [chained, CHAINED, 'chained aggregates'],
    ] as const) {
      test(`${name}: of a killed one, ${snapshot === 'no' ? 'by replay' : 'from a snapshot and by replay'}`, () =>
        withCluster(job, ['a', 'b', 'c'], async (cluster, feed, all) => {
          for (let round = 0; round < 4; round++) {
            await feed(round * 10);
            await cluster.step(round === 0 ? (snapshot === 'no' ? 'no' : 'all') : round === 2 ? snapshot : 'no');
          }
          await feed(40);
          // One has folded the epoch when the worker goes, the other waits for its rows.
          cluster.network.intercept = (to, message) => (to === 'b' && message.from === 2 ? [] : [message]);
          const plan = await cluster.planNext();
          cluster.order({ plan, attempt: 0 });
          await waitFor('rows of c', () => cluster.workers.get('a')?.folded.includes(4) === true);
          await cluster.kill('c');
          await cluster.use(['a', 'b']);
          cluster.order({ plan, attempt: 1 });
          await cluster.mapped({ plan, attempt: 1 });
          await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
          await feed(50);
          await cluster.step();
          await cluster.step();
          const expected = job === counts ? countsOf(all) : chainedOf(all, 50);
          assert.deepEqual(await cluster.rows(select), expected);
          for (const { restored } of cluster.workers.values())
            assert.ok(
              restored.length === 2 && restored.every((groups) => groups < 100),
              `restored: ${restored.join()}`,
            );
        }));
    }
  }

  test('while epochs go on: workers come and leave', () =>
    withCluster(counts, ['a'], async (cluster, feed, all) => {
      let second = 0;
      const step = async (): Promise<void> => {
        await feed((second += 5));
        await cluster.step(second % 15 === 0 ? 'changed' : 'no');
      };
      await step();
      for (const names of [['a', 'b'], ['a', 'b', 'c'], ['c', 'b'], ['b']]) {
        for (const name of names) if (!cluster.workers.has(name)) cluster.addWorker(name);
        const assignment = cluster.assign(names);
        const prepared = cluster.prepare(assignment);
        await step();
        await prepared;
        await step();
        cluster.assignment = assignment;
        await step();
        await step();
      }
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
      assert.deepEqual(cluster.troubles(), []);
    }));

  test('that a worker gave up and gets again', () =>
    withCluster(counts, ['a', 'b'], async (cluster, feed, all) => {
      for (const names of [['a', 'b'], ['b'], ['a', 'b'], ['a'], ['b', 'a']]) {
        await cluster.use(names);
        await feed(all.length / 60);
        await cluster.step('changed');
      }
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));

  test('out of blobs that small groups share, each worker its own', () =>
    withCluster(counts, ['a'], async (cluster, feed, all) => {
      await feed(0);
      await cluster.step('all');
      const places = Object.values(cluster.manifest?.groups ?? {});
      assert.ok(places.length >= 30, `only ${places.length} groups hold something`);
      assert.equal(new Set(places.map((place) => parsePlace(place).blob)).size, 1);
      cluster.addWorker('b');
      cluster.addWorker('c');
      await cluster.use(['b', 'c']);
      await feed(5);
      await cluster.step('changed');
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));

  test('from the snapshot before when the newest is damaged', () =>
    withCluster(counts, ['a'], async (cluster, feed, all) => {
      await feed(0);
      await cluster.step('all');
      await feed(5);
      await cluster.step('changed');
      const place = Object.values(cluster.manifest?.groups ?? {}).find((id) => id.includes('/1-')) ?? '';
      await cluster.connections.blobs().delete([parsePlace(place).blob]);
      await cluster.kill('a');
      cluster.addWorker('b');
      await cluster.use(['b']);
      await feed(10);
      await cluster.step();
      assert.deepEqual(await cluster.rows(COUNTS), countsOf(all));
    }));
});

suite('tables that are read anew', () => {
  const joined = jobText(
    `SELECT c.name AS name, count(*) AS n FROM ev JOIN names AS c ON ev.k = c.k GROUP BY c.name`,
    SOURCES,
    {
      outputMode: 'update',
      sinks: [sinkOf('joined', ['name'])],
      tables: {
        names: {
          connector: 'cassandra',
          keyspace: 'app',
          table: 'names',
          refresh: '1m',
          schema: 'k STRING, name STRING',
        },
      },
    },
  );

  test('every epoch joins with the version that its plan names, also when it is replayed', () =>
    withCluster(joined, ['a', 'b'], async (cluster, feed, all) => {
      const counts_ = new Map<string, number>();
      const step = async (version: number): Promise<void> => {
        cluster.statics = { names: version };
        const rows = [['k0', `zero-${version}`], ...(version > 1 ? [['k1', `one-${version}`]] : [])];
        const id = `test/1/static/names/${version}`;
        await cluster.connections.blobs().put(id, Buffer.from(JSON.stringify(rows)));
        const before = all.length;
        await feed(0);
        await cluster.step();
        for (const { k } of all.slice(before)) {
          const name = rows.find(([key]) => key === k)?.[1];
          if (name !== undefined) counts_.set(name, (counts_.get(name) ?? 0) + 1);
        }
      };
      for (const version of [1, 1, 2, 3]) await step(version);
      await cluster.kill('b');
      await cluster.use(['a']);
      await step(3);
      assert.equal(counts_.size, 5);
      assert.deepEqual(
        await cluster.rows('SELECT name, n FROM app.joined'),
        sorted([...counts_].map((row) => [...row])),
      );
    }));
});

suite('ranges of many megabytes', () => {
  const job = jobText(
    `SELECT k, sum(v) AS s, count(*) AS n ${FROM} GROUP BY k`,
    { ev: 'k STRING, ts TIMESTAMP, v DOUBLE' },
    {
      outputMode: 'update',
      sinks: [sinkOf('n', ['k'])],
    },
  );

  /** What the table holds after three epochs, the second of which is more than one task of a partition. */
  const rowsAfter = async (between: (cluster: TestCluster) => Promise<void>): Promise<unknown[][]> => {
    let rows: unknown[][] = [];
    await withCluster(job, ['a', 'b'], async (cluster) => {
      await cluster.append('ev', 0, [{ k: 'k1', v: 1e16 }]);
      await cluster.step();
      const filler = 'x'.repeat(3000);
      for (let batch = 0; batch < 24; batch++) {
        // Sums of these depend on their order.
        const some = Array.from({ length: 100 }, (_, row) => ({
          k: `k${row % 7}`,
          v: 1e16 / (batch * 100 + row + 1),
          filler,
        }));
        for (const index of [0, 1]) await cluster.append('ev', index, some);
      }
      await cluster.step();
      await between(cluster);
      // Brings out what is held.
      const nothing = Array.from({ length: 7 }, (_, key) => ({ k: `k${key}`, v: 0 }));
      await cluster.append('ev', 1, nothing);
      await cluster.step();
      rows = await cluster.rows('SELECT k, s, n FROM app.n');
      assert.deepEqual(cluster.troubles(), []);
    });
    return rows;
  };

  test('are added up in the same order when they are mapped again', async () => {
    const expected = await rowsAfter(() => Promise.resolve());
    assert.equal(expected.length, 7);
    const restored = await rowsAfter(async (cluster) => {
      await cluster.kill('b');
      cluster.addWorker('c');
      await cluster.use(['c']);
    });
    assert.deepEqual(restored, expected);
  });
});

suite('runners that cannot go on', () => {
  test('say so with the code and the place', () =>
    withCluster(
      jobText(`SELECT k, count(*) AS n ${FROM} GROUP BY k`, SOURCES, {
        outputMode: 'update',
        sinks: [sinkOf('n', ['k'])],
        onBadRecord: 'fail',
      }),
      ['a'],
      async (cluster) => {
        await cluster.append('ev', 0, ['not JSON']);
        const plan = await cluster.planNext();
        cluster.order({ plan, attempt: 0 });
        await waitFor('trouble', () => cluster.troubles().length > 0);
        const [trouble] = cluster.troubles();
        assert.deepEqual([trouble?.retry, trouble?.code], [false, 'RECORD_NOT_JSON']);
        assert.match(trouble?.message ?? '', /job test, topic ev, partition 0: the record at offset 0/);
      },
    ));

  test('stop when asked to, and let go of everything', () =>
    withCluster(counts, ['a'], async (cluster, feed) => {
      await feed(0);
      await cluster.step();
      const worker = cluster.workers.get('a');
      assert.ok(worker);
      worker.runner.handle({ job: 'test', run: 1, token: 1, stop: { reason: 'the test says so' } });
      await waitFor('the answer', () => worker.reports.some(({ stopped }) => stopped !== undefined));
      await assert.rejects(worker.executor.takeChanged('test/1', 0, true), /not open/);
    }));
});

/** A small generator of numbers in [0, 1), from a seed. */
function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

suite('whatever happens, in any order', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const isChained = seed % 2 === 0;
    test(`seed ${seed}: ${isChained ? 'chained aggregates' : 'counts'} are exact`, () =>
      withCluster(isChained ? chained : counts, ['a', 'b'], async (cluster, feed, all) => {
        const chance = chanceOf(seed);
        let lives = 0;
        for (let round = 0; round < 5; round++) {
          // One or two epochs in flight when it happens.
          const flights = [];
          const depth = chance() < 0.5 ? 1 : 2;
          const lossy = chance() < 0.6;
          cluster.network.intercept = (_, message) => (lossy && chance() < 0.1 ? [] : [message]);
          let attempt = 0;
          for (let ahead = 0; ahead < depth; ahead++) {
            await feed(round * 8 + ahead * 4);
            const plan = await cluster.planNext();
            flights.push(plan);
            cluster.order({ plan, attempt }, chance() < 0.3 ? 'changed' : 'no');
            if (!(await cluster.mappedOrTroubled({ plan, attempt }))) break;
          }
          await new Promise((resolve) => setTimeout(resolve, chance() * 20));
          const names = [...cluster.workers.keys()];
          const event = chance();
          if (event < 0.3 && names.length > 1) await cluster.kill(names[Math.floor(chance() * names.length)] ?? '');
          else if (event < 0.6) cluster.addWorker(`w${lives++}`);
          else if (event < 0.75) cluster.token += 1;
          cluster.network.intercept = (_, message) => [message];
          if (lossy || event < 0.75) {
            attempt = 1;
            cluster.manifest = null;
            await cluster.use([...cluster.workers.keys()]);
            for (const plan of flights) cluster.order({ plan, attempt }, 'no');
          }
          for (const plan of flights) {
            await cluster.mapped({ plan, attempt });
            const done = await cluster.done({ plan, attempt });
            await cluster.commit(plan, attempt === 0 ? done.map((each) => ({ ...each, snapshot: false })) : done);
          }
          await feed(round * 8 + 8);
          await cluster.step(chance() < 0.4 ? 'all' : 'no');
        }
        await cluster.step();
        // The greatest time is 10 s after the last feed, and so is the delay.
        const expected = isChained ? chainedOf(all, 4 * 8 + 8) : countsOf(all);
        assert.ok(expected.length > 3);
        assert.deepEqual(await cluster.rows(isChained ? CHAINED : COUNTS), expected);
      }));
  }
});
