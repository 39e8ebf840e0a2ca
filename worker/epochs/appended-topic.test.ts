/**
 * A stateful job into a topic, at least once: the record that comes last of a key is its newest, however long the append of
 * an epoch takes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WeirError } from '../../core/errors.ts';
import type { LogWriter } from '../../core/ports.ts';
import { jobText } from '../../engine/epoch/test-run.ts';
import { MemoryLog } from '../../test/support/memory-log.ts';
import { TestCluster, waitFor } from './test-cluster.ts';

const TOPIC = 'totals';
const KEYS = 12;
/** With it the rows of each thread are an append of their own: small ones go out together. */
const PAD = 'x'.repeat(40_000);
const totals = jobText(
  'SELECT k, count(*) AS n, max(pad) AS pad FROM ev GROUP BY k',
  { ev: 'k STRING, pad STRING' },
  { outputMode: 'update', sinks: [{ connector: 'kafka', topic: TOPIC, key: 'k', compression: 'none' }] },
);

/** Whose first appends wait until they are let go. */
function withHeldAppends(
  log: MemoryLog,
  held: number,
): { readonly writer: LogWriter; begun: number; letGo: () => void } {
  const gate = Promise.withResolvers<void>();
  const state = {
    begun: 0,
    letGo: gate.resolve,
    writer: {
      partitionCount: (topic: string) => log.writer.partitionCount(topic),
      createTopic: (topic: string, partitions: number) => log.writer.createTopic(topic, partitions),
      close: () => Promise.resolve(),
      append: async (appends, permit) => {
        state.begun += 1;
        if (state.begun <= held) await gate.promise;
        await log.writer.append(appends, permit);
      },
    } satisfies LogWriter,
  };
  return state;
}

test('rows of an epoch are appended when those of the one before are there', async () => {
  const log = new MemoryLog();
  log.createTopic(TOPIC, 1);
  const threads = 2;
  const state = withHeldAppends(log, threads);
  const cluster = await TestCluster.start(totals, { sinkLog: state.writer, threads });
  try {
    const worker = cluster.addWorker('a');
    await cluster.use(['a']);
    const rows = Array.from({ length: KEYS }, (_, index) => ({ k: `k${index}`, pad: PAD }));
    const begin = async (): Promise<Parameters<TestCluster['done']>[0]> => {
      await cluster.append('ev', 0, rows);
      const attempted = { plan: await cluster.planNext(), attempt: 0 };
      cluster.order(attempted);
      await cluster.mapped(attempted);
      return attempted;
    };
    const first = await begin();
    await waitFor('the first append', () => state.begun === threads);
    const second = await begin();
    await waitFor(
      'the second epoch to be folded',
      () => worker.folded.filter((epoch) => epoch === 1).length === threads,
    );
    // Whoever appends as soon as rows are there has done so by now.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(state.begun, threads);
    state.letGo();
    for (const attempted of [first, second]) await cluster.commit(attempted.plan, await cluster.done(attempted));
    const last = new Map<string, number>();
    for (const text of log.committed(TOPIC, 0)) {
      const { k, n } = JSON.parse(text) as { readonly k: string; readonly n: number };
      last.set(k, n);
    }
    assert.deepEqual(
      [...last.values()],
      Array.from({ length: KEYS }, () => 2),
    );
  } finally {
    await cluster.close();
  }
});

test('a snapshot that fails is told while rows still wait for their topic', async () => {
  const log = new MemoryLog();
  log.createTopic(TOPIC, 1);
  const state = withHeldAppends(log, 1);
  const cluster = await TestCluster.start(totals, { sinkLog: state.writer });
  try {
    const worker = cluster.addWorker('a');
    worker.failpoints.set('epoch.midSnapshot', () => {
      throw new WeirError('STORE_UNAVAILABLE', 'the store is away');
    });
    await cluster.use(['a']);
    await cluster.append('ev', 0, [{ k: 'k', pad: '' }]);
    const attempted = { plan: await cluster.planNext(), attempt: 0 };
    cluster.order(attempted, 'all');
    await cluster.mapped(attempted);
    await waitFor('the append', () => state.begun === 1);
    await waitFor('the trouble', () => cluster.troubles().length === 1);
  } finally {
    state.letGo();
    await cluster.close();
  }
});
