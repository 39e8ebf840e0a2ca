/**
 * A job with state into a topic of Kafka, exactly once, under everything that happens to its processes: workers killed at
 * every point of an epoch's and of a transaction's life, the master at every point of planning and committing, a writer
 * that is stopped until it is replaced and woken up, workers that come and go, and changes of the job, also one that finds
 * nobody to bring it to a boundary.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { failpointNames } from '../../core/ports.ts';
import type { JobView } from '../../master/views.ts';
import { globalServices } from '../services/services.ts';
import type { Process } from '../support/cluster.ts';
import { until } from '../support/cluster.ts';
import { ExactlyOnceJob } from '../support/exactly-once.ts';

const services = globalServices();
const ofMaster = failpointNames.filter((name) => /^epoch\.(before|after)(Plan|Commit)$/.test(name));
const ofWorkers = failpointNames.filter((name) => /^(epoch|transaction)\./.test(name) && !ofMaster.includes(name));

describe('Kafka sink of epochs, exactly once', { timeout: 1_800_000 }, () => {
  let job: ExactlyOnceJob;
  before(async () => {
    job = await ExactlyOnceJob.open((await services.kafka()).address, 'epochs');
    await job.produce(1000);
    await job.apply();
  });
  after(() => job?.close());

  /** Produces until `ended` says so. */
  const load = async (ended: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await ended())) {
      await job.produce(100);
      await sleep(150);
    }
  };
  const loadFor = async (ms: number): Promise<void> => {
    const end = performance.now() + ms;
    await load(() => performance.now() > end);
  };
  /** A master may lose its lease for a moment on a machine that has too much to do. */
  const seen = (): Promise<JobView> => until('the master answers', 60_000, () => job.cluster.job(job.job));
  const workersOfJob = async (): Promise<number> => (await seen()).epochs?.workers.length ?? 0;

  test('kill -9 of the worker at every point', async (context) => {
    for (const point of ofWorkers) {
      // What comes up is restored once; a snapshot is taken every few seconds.
      const hit = point === 'epoch.midRestore' || point === 'epoch.midSnapshot' ? 1 : 3;
      const victim = await job.cluster.startWorker(`${point}=kill@${hit}`, false);
      await load(() => !victim.alive);
      assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
    }
    const worker = await job.cluster.startWorker();
    context.after(() => worker.stop());
    await job.taken();
    await job.check();
  });

  test('kill -9 of the master at every point', async (context) => {
    const workers = [await job.cluster.startWorker(), await job.cluster.startWorker()];
    context.after(() => Promise.all(workers.map((worker) => worker.stop())));
    for (const point of ofMaster) {
      await job.cluster.process('master').kill9();
      const victim = await job.cluster.startMaster(0, `${point}=kill@4`);
      await load(() => !victim.alive);
      assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
      await job.cluster.startMaster();
      await loadFor(1000);
    }
    await job.taken();
    await job.check();
  });

  for (const point of failpointNames.filter((name) => name.startsWith('transaction.'))) {
    test(`a writer that stops at ${point}, is replaced, and goes on`, async (context) => {
      const zombie = await job.cluster.startWorker(`${point}=stop@5`);
      context.after(() => zombie.stop());
      await load(async () => (await zombie.log()).includes(`failpoint ${point} stop`));
      const next = await job.cluster.startWorker();
      context.after(() => next.stop());
      await loadFor(8000);
      zombie.signal('SIGCONT');
      await loadFor(3000);
      await job.taken();
      await job.check();
    });
  }

  test('one worker, three, one: while it runs, is changed, and loses one', async (context) => {
    const workers: Process[] = [await job.cluster.startWorker()];
    context.after(() => Promise.all(workers.map((worker) => worker.stop())));
    await load(async () => (await workersOfJob()) === 1);
    workers.push(await job.cluster.startWorker(), await job.cluster.startWorker());
    await load(async () => (await workersOfJob()) === 3);
    await loadFor(2000);
    await until('a change of the job', 60_000, () => job.apply(-1).then(() => true));
    await loadFor(3000);
    await workers.shift()?.kill9();
    await load(async () => (await workersOfJob()) === 2);
    await loadFor(2000);
    await workers.shift()?.stop();
    await load(async () => (await workersOfJob()) === 1);
    await loadFor(2000);
    await job.taken();
    await job.check();
  });

  test('a change of the job with epochs written, none of them committed, and nobody to finish them', async (context) => {
    const before = (await seen()).row.run;
    for (const [change, point] of ['transaction.afterCommit', 'transaction.beforeCommit', 'epoch.afterAck'].entries()) {
      const victim = await job.cluster.startWorker(`${point}=kill@6`, false);
      await load(() => !victim.alive);
      await job.produce(200);
      await until('a change of the job', 60_000, () => job.apply(-10 - change).then(() => true));
    }
    const worker = await job.cluster.startWorker();
    context.after(() => worker.stop());
    await loadFor(2000);
    await job.taken();
    assert.equal((await seen()).row.run, before + 3);
    await job.check();
  });
});
