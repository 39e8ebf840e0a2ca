/**
 * The Kafka sink, exactly once, under everything that happens to workers: killed at every point of a lane's and of a
 * transaction's life, stopped until they are replaced and woken up, added and taken away, with the job changed meanwhile.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failpointNames } from '../../core/ports.ts';
import { globalServices } from '../services/services.ts';
import type { Process } from '../support/cluster.ts';
import { until } from '../support/cluster.ts';
import { ExactlyOnceJob } from '../support/exactly-once.ts';

const services = globalServices();

describe('Kafka sink, exactly once', { timeout: 1_800_000 }, () => {
  let job: ExactlyOnceJob;
  before(async () => {
    job = await ExactlyOnceJob.open((await services.kafka()).address);
    await job.produce(1000);
    await job.apply();
  });
  after(() => job?.close());

  /** Produces until `ended` says so. */
  const load = async (ended: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await ended())) {
      await job.produce(150);
      await sleep(150);
    }
  };
  const loadFor = async (ms: number): Promise<void> => {
    const end = performance.now() + ms;
    await load(() => performance.now() > end);
  };

  test('kill -9 at every point of a lane and of a transaction', async (context) => {
    for (const point of failpointNames.filter((name) => /^(lane|transaction)\./.test(name))) {
      const victim = await job.cluster.startWorker(`${point}=kill@3`, false);
      await load(() => !victim.alive);
      assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
    }
    const worker = await job.cluster.startWorker();
    context.after(() => worker.stop());
    await job.taken();
    await job.check();
  });

  for (const point of failpointNames.filter((name) => name.startsWith('transaction.'))) {
    test(`an owner that stops at ${point}, is replaced, and goes on`, async (context) => {
      const zombie = await job.cluster.startWorker(`${point}=stop@5`);
      context.after(() => zombie.stop());
      await load(async () => (await zombie.log()).includes(`failpoint ${point} stop`));
      const next = await job.cluster.startWorker();
      context.after(() => next.stop());
      await loadFor(10_000);
      zombie.signal('SIGCONT');
      await loadFor(3000);
      await job.taken();
      await job.check();
    });
  }

  test('workers come and go, and the job is changed, under load', async (context) => {
    const workers: Process[] = [await job.cluster.startWorker()];
    context.after(() => Promise.all(workers.map((worker) => worker.stop())));
    await loadFor(3000);
    workers.push(await job.cluster.startWorker(), await job.cluster.startWorker());
    await load(async () => {
      const { lanes } = await until('the master answers', 60_000, () => job.cluster.job(job.job));
      return new Set(lanes.filter(({ state }) => state === 'running').map(({ owner }) => owner)).size === 3;
    });
    await workers.shift()?.stop();
    await loadFor(3000);
    await until('a change of the job', 60_000, () => job.apply(-1).then(() => true));
    await loadFor(3000);
    await workers.shift()?.kill9();
    await until('another one', 60_000, () => job.apply(-2).then(() => true));
    await loadFor(8000);
    await job.taken();
    assert.equal((await job.cluster.job(job.job)).row.run, 3);
    await job.check();
  });
});
