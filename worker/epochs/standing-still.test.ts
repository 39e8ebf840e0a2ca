/**
 * Processes that stand still (SIGSTOP, a suspended machine, a hypervisor that is busy) for longer than anybody waits for
 * them, and go on: whatever waits for them gives up or goes on too, and nothing waits for good.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { systemClock } from '../../connectors/system/clock.ts';
import type { Clock } from '../../core/clock.ts';
import { jobText } from '../../engine/epoch/test-run.ts';
import type { TestCluster as Cluster } from './test-cluster.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const STANDING_MS = 61_000;

const counts = jobText(
  'SELECT k, count(*) AS n FROM ev GROUP BY k',
  { ev: 'k STRING, ts TIMESTAMP, v BIGINT' },
  {
    outputMode: 'update',
    sinks: [{ connector: 'cassandra', keyspace: 'app', table: 'counts', primaryKey: ['k'], create: true }],
  },
);
const COUNTS = 'SELECT k, n FROM app.counts';
const KEYS = 40;
const rows = Array.from({ length: KEYS }, (_, index) => ({ k: `k${index}`, ts: '2024-01-01T00:00:00Z', v: 1 }));

/** Real time, in which whoever has this clock may stand still: when he goes on, all that was due meanwhile happens. */
class StandingClock implements Clock {
  #missedMs = 0;
  readonly #timers = new Map<() => void, number>();

  now(): number {
    return systemClock.now() + this.#missedMs;
  }

  mono(): number {
    return systemClock.mono() + this.#missedMs;
  }

  timer(ms: number, fn: () => void): () => void {
    const fire = (): void => {
      cancel();
      fn();
    };
    const stop = systemClock.timer(ms, fire);
    const cancel = (): void => {
      stop();
      this.#timers.delete(fire);
    };
    this.#timers.set(fire, this.mono() + ms);
    return cancel;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const abort = (): void => {
        cancel();
        reject(signal?.reason as Error);
      };
      const cancel = this.timer(ms, () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  standStill(ms: number): void {
    this.#missedMs += ms;
    const now = this.mono();
    for (const [fire, dueAt] of new Map(this.#timers)) if (dueAt <= now) fire();
  }
}

async function withCluster(
  body: (cluster: Cluster, clocks: readonly [StandingClock, StandingClock]) => Promise<void>,
): Promise<void> {
  const cluster = await TestCluster.start(counts);
  try {
    const clocks = [new StandingClock(), new StandingClock()] as const;
    cluster.addWorker('a', clocks[0]);
    cluster.addWorker('b', clocks[1]);
    await cluster.use(['a', 'b']);
    await body(cluster, clocks);
  } finally {
    // Resolves whatever was under way: a wait without an end is a test without one.
    await cluster.close();
  }
}

async function assertCounted(cluster: Cluster, times: number): Promise<void> {
  const expected = rows.map(({ k }) => [k, times]).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  assert.deepEqual(await cluster.rows(COUNTS), expected);
}

suite('processes that stood still', () => {
  test('between epochs: the next one is as any other', () =>
    withCluster(async (cluster, clocks) => {
      await cluster.append('ev', 0, rows);
      await cluster.step();
      for (const clock of clocks) clock.standStill(STANDING_MS);
      await cluster.append('ev', 1, rows);
      await cluster.step();
      await assertCounted(cluster, 2);
      assert.deepEqual(cluster.troubles(), []);
    }));

  test('while rows were awaited: the attempt is given up, and another one is exact', () =>
    withCluster(async (cluster, clocks) => {
      await cluster.append('ev', 0, rows);
      await cluster.step();
      await cluster.append('ev', 1, rows);
      let held = 0;
      cluster.network.intercept = (to, message) => {
        if (to !== 'b' || message.attempt !== 0) return [message];
        held += 1;
        return [];
      };
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      await waitFor('rows to be held up', () => held > 0);
      clocks[1].standStill(STANDING_MS);
      await waitFor('the attempt to be given up', () => cluster.troubles().length > 0);
      assert.deepEqual(
        cluster.troubles().map(({ epoch, attempt, retry, code }) => ({ epoch, attempt, retry, code })),
        [{ epoch: plan.epoch, attempt: 0, retry: true, code: 'PEER_UNREACHABLE' }],
      );
      cluster.order({ plan, attempt: 1 });
      await cluster.mapped({ plan, attempt: 1 });
      await cluster.commit(plan, await cluster.done({ plan, attempt: 1 }));
      await assertCounted(cluster, 2);
    }));

  test('and were told to go before anybody tried again: they do', () =>
    withCluster(async (cluster, clocks) => {
      await cluster.append('ev', 0, rows);
      cluster.network.intercept = (to, message) => (to === 'b' ? [] : [message]);
      const plan = await cluster.planNext();
      cluster.order({ plan, attempt: 0 });
      await cluster.mapped({ plan, attempt: 0 });
      for (const clock of clocks) clock.standStill(STANDING_MS);
      await waitFor('the attempt to be given up', () => cluster.troubles().length > 0);
      const closings = [...cluster.workers.values()].map(({ runner }) =>
        runner.close('nobody orders anything any more'),
      );
      let left = 0;
      for (const closing of closings) void closing.then(() => left++);
      await waitFor('all to be gone', () => left === closings.length);
    }));
});
