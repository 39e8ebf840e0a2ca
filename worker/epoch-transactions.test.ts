import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { WeirError, isWeirError } from '../core/errors.ts';
import { offset, partition } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { LogTransactionPlan } from '../core/log-transactions.ts';
import type { FailpointName, LogWriter } from '../core/ports.ts';
import { always, batchOf } from '../test/conformance/source.ts';
import { MemoryLog } from '../test/support/memory-log.ts';
import type { EpochRows } from './epoch-transactions.ts';
import { EpochTransactions } from './epoch-transactions.ts';

const TOPIC = 'totals';
const points = [
  'transaction.beforeProduce',
  'transaction.afterProduce',
  'transaction.beforeCommit',
  'transaction.afterCommit',
] as const satisfies readonly FailpointName[];

/** Epochs are a second apart. */
const timeOf = (epoch: number): number => 1_700_000_000_000_000 + epoch * 1_000_000;

/** Two rows in each of two partitions, the same for every attempt. */
function rowsOf(epoch: number): EpochRows {
  const appends = [0, 1].map((index) => ({
    topic: TOPIC,
    partition: partition(index),
    batch: batchOf('row', epoch * 2, 2),
  }));
  return { timeUs: timeOf(epoch), appends };
}

const namesTo = (epochs: number): string[] => Array.from({ length: epochs * 2 }, (_, index) => `row-${index}`);

/** A worker that may be stopped at a point, once, and woken up. */
class Worker {
  readonly transactions: EpochTransactions;
  #stop: { readonly at: FailpointName; readonly wakes: PromiseWithResolvers<void> } | null = null;
  #reached = Promise.withResolvers<void>();

  constructor(writer: LogWriter, submittedAt = 1000) {
    this.transactions = new EpochTransactions({
      job: 'shop',
      topic: TOPIC,
      submittedAt,
      settings: { commitIntervalMs: 0, timeoutMs: 60_000 },
      writer,
      failpoints: {
        hit: (name) => {
          if (name !== this.#stop?.at) return undefined;
          this.#reached.resolve();
          return this.#stop.wakes.promise;
        },
      },
      clock: systemClock,
      rng: systemRng,
    });
  }

  get stopped(): boolean {
    return this.#stop !== null;
  }

  /** Resolves when it stands still there. */
  stopAt(at: FailpointName): Promise<void> {
    this.#stop = { at, wakes: Promise.withResolvers() };
    this.#reached = Promise.withResolvers();
    return this.#reached.promise;
  }

  wake(): void {
    this.#stop?.wakes.resolve();
    this.#stop = null;
  }
}

function logWithTopic(): MemoryLog {
  const log = new MemoryLog();
  log.createTopic(TOPIC, 2);
  return log;
}

function permit(): WritePermit & { end(): void } {
  let valid = true;
  return {
    valid: () => valid,
    check: () => {
      if (!valid) throw new WeirError('FENCED', 'the attempt ended');
    },
    end: () => void (valid = false),
  };
}

suite('a topic that epochs write exactly once', () => {
  test('another worker finds by the mark what is there', async () => {
    const log = logWithTopic();
    const [a, b] = [new Worker(log.writer), new Worker(log.writer)];
    await a.transactions.write(rowsOf(0), always);
    await a.transactions.write(rowsOf(1), always);
    await b.transactions.write(rowsOf(1), always);
    await b.transactions.write(rowsOf(2), always);
    await a.transactions.write(rowsOf(1), always);
    await a.transactions.write(rowsOf(3), always);
    for (const index of [0, 1]) assert.deepEqual(log.committed(TOPIC, index), namesTo(4));
  });

  for (const point of points) {
    test(`an owner that stops at ${point} and wakes up when it is replaced repeats nothing`, async () => {
      const log = logWithTopic();
      const [a, b] = [new Worker(log.writer), new Worker(log.writer)];
      await a.transactions.write(rowsOf(0), always);
      const stands = a.stopAt(point);
      // It does not know that its attempt was replaced: cut off from the master, not from the log.
      const late = a.transactions.write(rowsOf(1), always);
      await stands;
      await b.transactions.write(rowsOf(1), always);
      a.wake();
      await late;
      await b.transactions.write(rowsOf(2), always);
      for (const index of [0, 1]) assert.deepEqual(log.committed(TOPIC, index), namesTo(3));
    });
  }

  test('an attempt that ends while it writes is left, and the next one writes all of it', async () => {
    const log = logWithTopic();
    const worker = new Worker(log.writer);
    const first = permit();
    const stands = worker.stopAt('transaction.afterProduce');
    const left = worker.transactions.write(rowsOf(0), first);
    left.catch(() => undefined);
    await stands;
    first.end();
    const next = worker.transactions.write(rowsOf(0), always);
    worker.wake();
    await assert.rejects(left, (error) => isWeirError(error, 'FENCED'));
    await next;
    assert.deepEqual(log.committed(TOPIC, 0), namesTo(1));
  });

  test('an epoch without rows asks nothing of the log', async () => {
    const none = (): never => assert.fail('not asked for here');
    const writer: LogWriter = { partitionCount: none, append: none, createTopic: none, close: none };
    await new Worker(writer).transactions.write({ timeUs: timeOf(0), appends: [] }, always);
  });

  test('marks of another life of the job do not count', async () => {
    const log = logWithTopic();
    await new Worker(log.writer, 1000).transactions.write(rowsOf(5), always);
    await new Worker(log.writer, 2000).transactions.write(rowsOf(0), always);
    assert.deepEqual(log.committed(TOPIC, 0), ['row-10', 'row-11', 'row-0', 'row-1']);
  });

  test('one transactional id and one group, whoever writes; the mark is the time of the epoch', async () => {
    const log = logWithTopic();
    const plans: LogTransactionPlan[] = [];
    const writer: LogWriter = {
      partitionCount: (topic) => log.writer.partitionCount(topic),
      append: (appends, allowed) => log.writer.append(appends, allowed),
      createTopic: (topic, partitions) => log.writer.createTopic(topic, partitions),
      openTransactions: (plan, parts) => {
        plans.push(plan);
        return log.writer.openTransactions?.(plan, parts) ?? assert.fail('a log with transactions');
      },
      close: () => Promise.resolve(),
    };
    const [a, b] = [new Worker(writer), new Worker(writer)];
    await a.transactions.write(rowsOf(0), always);
    await b.transactions.write(rowsOf(1), always);
    const name = `weir.shop.epochs.${TOPIC}`;
    assert.deepEqual(
      plans.map(({ id, groups, source, note }) => ({ id, groups, source, note })),
      [0, 1].map(() => ({ id: name, groups: [name], source: { topic: TOPIC, partition: 0 }, note: '1000' })),
    );
    assert.equal(log.position(name, `${TOPIC}/0`)?.offset, offset(timeOf(1)));
  });

  test('a log that answers later is waited for; one that refuses is not', async () => {
    const log = logWithTopic();
    let failures = 3;
    let code: 'SINK_UNAVAILABLE' | 'UNAUTHORIZED' = 'SINK_UNAVAILABLE';
    const writer: LogWriter = {
      partitionCount: (topic) => log.writer.partitionCount(topic),
      append: (appends, allowed) => log.writer.append(appends, allowed),
      createTopic: (topic, partitions) => log.writer.createTopic(topic, partitions),
      openTransactions: (plan, parts) => {
        if (failures-- > 0) return Promise.reject(new WeirError(code, 'not now'));
        return log.writer.openTransactions?.(plan, parts) ?? assert.fail('a log with transactions');
      },
      close: () => Promise.resolve(),
    };
    const worker = new Worker(writer);
    await worker.transactions.write(rowsOf(0), always);
    assert.equal(worker.transactions.stats().retries, 3);
    assert.equal(worker.transactions.stats().blockedBy, null);
    await worker.transactions.close();
    failures = 1;
    code = 'UNAUTHORIZED';
    const other = new Worker(writer).transactions.write(rowsOf(1), always);
    await assert.rejects(other, (error) => isWeirError(error, 'UNAUTHORIZED'));
    assert.deepEqual(log.committed(TOPIC, 0), namesTo(1));
  });

  test('a log without transactions is told', async () => {
    const { openTransactions: _, ...plain } = { ...logWithTopic().writer };
    const writer = { ...plain, partitionCount: () => Promise.resolve(2) } as LogWriter;
    const written = new Worker(writer).transactions.write(rowsOf(0), always);
    await assert.rejects(written, (error) => isWeirError(error, 'UNSUPPORTED'));
  });

  test('whoever stops where and wakes up when: every epoch is there once, in order', async () => {
    const attempt = fc.record({
      worker: fc.nat(2),
      stop: fc.option(fc.constantFrom(...points)),
      /** The master's word reaches it. */
      replaced: fc.boolean(),
      /** Somebody wakes up before the next attempt. */
      wakes: fc.option(fc.nat(2)),
    });
    const history = fc.array(fc.array(attempt, { maxLength: 4 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(history, async (epochs) => {
        const log = logWithTopic();
        const workers = [0, 1, 2].map(() => new Worker(log.writer));
        const late: Promise<void>[] = [];
        for (const [epoch, attempts] of epochs.entries()) {
          for (const { worker: index, stop, replaced, wakes } of attempts) {
            const worker = workers[index];
            if (worker === undefined || worker.stopped) continue;
            const allowed = permit();
            const stands = stop === null ? null : worker.stopAt(stop);
            const written = worker.transactions.write(rowsOf(epoch), allowed);
            late.push(written.catch((error: unknown) => assert.ok(isWeirError(error, 'FENCED'), String(error))));
            await (stands === null ? written : Promise.race([stands, written]));
            if (replaced) allowed.end();
            if (wakes !== null) workers[wakes]?.wake();
          }
          // Who is there finishes the epoch: a process that is new, if all stand still.
          const free = workers.find(({ stopped }) => !stopped) ?? new Worker(log.writer);
          await free.transactions.write(rowsOf(epoch), always);
        }
        for (const worker of workers) worker.wake();
        await Promise.all(late);
        for (const index of [0, 1]) assert.deepEqual(log.committed(TOPIC, index), namesTo(epochs.length));
      }),
      { numRuns: 150 },
    );
  });
});
