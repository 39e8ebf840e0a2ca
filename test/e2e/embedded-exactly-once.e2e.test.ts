/** Topics of the embedded log, exactly once: workers killed around the decision of a transaction, with and without state. */
import { describe, test } from 'node:test';
import type { FailpointName } from '../../core/ports.ts';
import { ExactlyOnceJob } from '../support/exactly-once.ts';

const points: readonly FailpointName[] = ['transaction.afterProduce', 'transaction.afterCommit'];

describe('the embedded log, exactly once', { timeout: 300_000, concurrency: true }, () => {
  for (const shape of ['lanes', 'epochs'] as const) {
    test(`${shape}: kill -9 before and after the decision`, async () => {
      const job = await ExactlyOnceJob.open(null, shape);
      try {
        await job.produce(1000);
        await job.apply();
        for (const point of points) await job.killAt(point);
        await job.cluster.startWorker('', false);
        await job.taken();
        await job.check();
      } finally {
        await job.close();
      }
    });
  }
});
