/** The contract of LogTransactions, for every log that has them: records and position together, by one writer at a time. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { must } from '../../core/assert.ts';
import { offset, partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { FailpointName, Failpoints, LogAppend } from '../../core/ports.ts';
import { noFailpoints } from '../../core/ports.ts';
import { until } from '../support/cluster.ts';
import type { LogFixture } from './source.ts';
import { always, batchOf } from './source.ts';

export interface LogTransactionsFixture extends Pick<LogFixture, 'writer' | 'close'> {
  /** Values that a reader of committed records sees in a partition, once every transaction is decided. */
  committed(topic: string, partition: number): Promise<readonly string[]>;
}

const names = (name: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${name}-${from + index}`);

/** A point where the writer stands still until it is let go, once. */
class Stop implements Failpoints {
  readonly reached = Promise.withResolvers<void>();
  readonly #release = Promise.withResolvers<void>();
  readonly #name: FailpointName;
  #armed = true;

  constructor(name: FailpointName) {
    this.#name = name;
  }

  hit(name: FailpointName): void | Promise<void> {
    if (name !== this.#name || !this.#armed) return undefined;
    this.#armed = false;
    this.reached.resolve();
    return this.#release.promise;
  }

  release(): void {
    this.#release.resolve();
  }
}

/** Registers the suite; topics have unique names. */
export function logTransactionsContract(name: string, make: () => Promise<LogTransactionsFixture>): void {
  describe(`LogTransactions contract: ${name}`, () => {
    let fixture: LogTransactionsFixture;
    const unique = randomUUID().slice(0, 8);
    const opened: LogTransactions[] = [];
    let count = 0;

    before(async () => {
      fixture = await make();
    });
    after(async () => {
      await Promise.all(opened.map((transactions) => transactions.close()));
      await fixture?.writer.close();
      await fixture?.close();
    });

    /** A lane from a source topic to one with two partitions; an interval that no test waits for. */
    const lane = async (more: Partial<LogTransactionPlan> = {}): Promise<LogTransactionPlan> => {
      const topic = `contract_t_${unique}_${++count}`;
      // A broker under load may not know a topic yet that it has just made.
      for (const name of [topic, `${topic}_in`])
        await until(`${name} is there`, 60_000, () => fixture.writer.createTopic(name, 2).then(() => true));
      return {
        job: 'contract',
        topic,
        id: `weir.contract.in.0.${topic}`,
        groups: [`weir.contract.1.in.${topic}`],
        source: { topic: `${topic}_in`, partition: partition(0) },
        note: '1/a',
        commitIntervalMs: 60_000,
        timeoutMs: 120_000,
        ...more,
      };
    };
    const open = async (
      plan: LogTransactionPlan,
      failpoints: Failpoints = noFailpoints,
      permit: WritePermit = always,
    ): Promise<LogTransactions> => {
      const { writer } = fixture;
      const openTransactions = must(writer.openTransactions, () => 'this log has transactions');
      const transactions = await openTransactions.call(writer, plan, { permit, failpoints });
      opened.push(transactions);
      return transactions;
    };
    /** `count` records of partition 0 from `from` on. */
    const records = ({ topic }: LogTransactionPlan, from: number, size: number, index = 0): LogAppend => ({
      topic,
      partition: partition(index),
      batch: batchOf('a', from, size),
    });
    const failsWith = async (work: Promise<unknown>, code: ErrorCode): Promise<void> => {
      await assert.rejects(work, (error) => {
        assert.ok(isWeirError(error, code), String(error));
        return true;
      });
    };

    test('records of several partitions and the position are committed together, in order', async () => {
      const plan = await lane();
      const first = await open(plan);
      assert.equal(first.position, null);
      const written = Promise.all([
        first.write([records(plan, 0, 3), records(plan, 0, 2, 1), records(plan, 3, 3)], offset(6)),
        first.write([records(plan, 6, 4)], offset(10)),
      ]);
      first.commitNow();
      await written;
      const next = first.write([records(plan, 10, 1)], offset(11));
      first.commitNow();
      await next;
      await first.close();
      assert.deepEqual(await fixture.committed(plan.topic, 0), names('a', 0, 11));
      assert.deepEqual(await fixture.committed(plan.topic, 1), names('a', 0, 2));
      assert.equal((await open(plan)).position, 11);
    });

    test('an interval ends a transaction without being asked', async () => {
      const plan = await lane({ commitIntervalMs: 50 });
      const transactions = await open(plan);
      await transactions.write([records(plan, 0, 2)], offset(2));
      await transactions.write([records(plan, 2, 2)], offset(4));
      await transactions.close();
      assert.deepEqual(await fixture.committed(plan.topic, 0), names('a', 0, 4));
    });

    test('what was not committed is gone with its writer', async () => {
      const plan = await lane();
      const stop = new Stop('transaction.afterProduce');
      const first = await open(plan, stop);
      const written = first.write([records(plan, 0, 3)], offset(3));
      written.catch(() => undefined);
      first.commitNow();
      await stop.reached.promise;
      const closed = first.close();
      stop.release();
      await closed;
      await failsWith(written, 'FENCED');
      const next = await open(plan);
      assert.equal(next.position, null);
      assert.deepEqual(await fixture.committed(plan.topic, 0), []);
    });

    for (const point of [
      'transaction.beforeProduce',
      'transaction.afterProduce',
      'transaction.beforeCommit',
    ] as const satisfies readonly FailpointName[]) {
      test(`a former writer that wakes up at ${point} changes nothing any more`, async () => {
        const plan = await lane();
        const stop = new Stop(point);
        const former = await open(plan, stop);
        const late = former.write([records(plan, 0, 3)], offset(3));
        late.catch(() => undefined);
        former.commitNow();
        await stop.reached.promise;
        const next = await open(plan);
        assert.equal(next.position, null);
        stop.release();
        await failsWith(late, 'FENCED');
        await failsWith(former.write([records(plan, 3, 1)], offset(4)), 'FENCED');
        const written = next.write([records(plan, 0, 5)], offset(5));
        next.commitNow();
        await written;
        await Promise.all([former.close(), next.close()]);
        assert.deepEqual(await fixture.committed(plan.topic, 0), names('a', 0, 5));
      });
    }

    test('a writer that committed and did not hear of it has committed', async () => {
      const plan = await lane();
      const stop = new Stop('transaction.afterCommit');
      const former = await open(plan, stop);
      const written = former.write([records(plan, 0, 3)], offset(3));
      former.commitNow();
      await stop.reached.promise;
      const next = await open(plan);
      assert.equal(next.position, 3);
      stop.release();
      await written;
      await Promise.all([former.close(), next.close()]);
      assert.deepEqual(await fixture.committed(plan.topic, 0), names('a', 0, 3));
    });

    test('a run that continues finds the position of the one before; another life of the job does not', async () => {
      const plan = await lane();
      const first = await open(plan);
      const written = first.write([records(plan, 0, 3)], offset(3));
      first.commitNow();
      await written;
      await first.close();
      const second = { ...plan, groups: [`weir.contract.2.in.${plan.topic}`, ...plan.groups] as const };
      const continued = await open(second);
      assert.equal(continued.position, 3);
      const more = continued.write([records(plan, 3, 1)], offset(4));
      continued.commitNow();
      await more;
      assert.equal((await open(second)).position, 4);
      assert.equal((await open({ ...plan, groups: [second.groups[0]] })).position, 4);
      assert.equal((await open({ ...plan, groups: [`weir.contract.3.in.${plan.topic}`] })).position, null);
      assert.equal((await open({ ...second, note: '2/a' })).position, null);
    });

    test('without a permit nothing is sent', async () => {
      const plan = await lane();
      let allowed = true;
      const permit: WritePermit = {
        valid: () => allowed,
        check: () => {
          if (!allowed) throw new WeirError('FENCED', 'the permit is gone');
        },
      };
      const transactions = await open(plan, noFailpoints, permit);
      allowed = false;
      const written = transactions.write([records(plan, 0, 1)], offset(1));
      transactions.commitNow();
      await failsWith(written, 'FENCED');
      await transactions.close();
      assert.deepEqual(await fixture.committed(plan.topic, 0), []);
    });
  });
}
