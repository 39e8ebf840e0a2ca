/** Stages with lookups from end to end: planned jobs, the real threads' code, tables in memory in place of servers. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupKey, LookupSource } from '../../core/lookup.ts';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import { batchesOf, taskOf } from '../../engine/created-users.fixture.ts';
import { InlineExecutor } from '../../engine/inline-executor.ts';
import type { LanesPlan } from '../../engine/plan/job-plan.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import type { StageResult } from '../../engine/stage.ts';
import { Lookup } from './lookup.ts';
import { LookupExecutor } from './lookup-executor.ts';
import type { LookupObserver } from './lookup-observer.ts';

/** Rows by key; counts what it is asked. */
class Table implements LookupSource {
  readonly keysMax: number;
  readonly requests: string[][] = [];
  inFlightMax = 0;
  #inFlight = 0;
  /** Taken from the front: what the next requests throw. */
  readonly failures: Error[] = [];
  readonly #rows: ReadonlyMap<string, readonly unknown[]>;
  hangs = false;

  constructor(rows: Readonly<Record<string, readonly unknown[]>>, keysMax = 1000) {
    this.#rows = new Map(Object.entries(rows));
    this.keysMax = keysMax;
  }

  async ask(keys: readonly LookupKey[]): Promise<readonly LookupAnswer[]> {
    this.requests.push(keys.map((key) => key.join('/')));
    this.inFlightMax = Math.max(this.inFlightMax, ++this.#inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    this.#inFlight--;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    if (this.hangs) await new Promise(() => undefined);
    return keys.map((key): LookupAnswer => {
      const values = this.#rows.get(key.join('/'));
      return values === undefined ? { kind: 'none' } : { kind: 'row', values };
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

type Lookups = NonNullable<JobSpecInput['tables']>[string];
const users = (lookup: object = {}): Lookups => ({
  connector: 'postgres',
  table: 'users',
  schema: 'id BIGINT, name STRING, vip BOOLEAN, city STRING',
  lookup: { key: ['id'], ...lookup },
});
const cities: Lookups = {
  connector: 'postgres',
  table: 'cities',
  schema: 'name STRING, country STRING',
  lookup: { key: ['name'] },
};

class Bench {
  readonly executor: LookupExecutor;
  readonly counted = { hits: 0, joined: 0, misses: 0, errors: [] as string[], failed: 0 };
  readonly #plan: LanesPlan;

  constructor(
    query: string,
    tables: Readonly<Record<string, Lookups>>,
    sources: Readonly<Record<string, LookupSource>>,
    sink: JobSpecInput['sinks'][number] = { connector: 'console' },
  ) {
    const spec = jobSpecSchema.parse({
      apiVersion: 'weir/v1',
      kind: 'Job',
      name: 'clicks',
      sources: { clicks: { connector: 'kafka', topic: 'clicks', schema: 'user BIGINT, page STRING, ms INT' } },
      tables,
      query,
      sinks: [sink],
    } satisfies JobSpecInput);
    const { plan, problems } = planJob(spec, { tables: null });
    assert.deepEqual(problems, []);
    this.#plan = plan as LanesPlan;
    const observer: LookupObserver = {
      keys: (hits, joined, misses) => {
        this.counted.hits += hits;
        this.counted.joined += joined;
        this.counted.misses += misses;
      },
      request: (_, code) => void (code !== null && this.counted.errors.push(code)),
      failed: (count) => void (this.counted.failed += count),
      inFlight: () => undefined,
      kept: () => undefined,
      left: () => undefined,
    };
    const steps = (this.#plan.sources[0]?.lookups ?? []).map((lookup) => {
      const source = sources[lookup.table.name];
      assert.ok(source !== undefined);
      return {
        plan: lookup,
        lookup: new Lookup({ plan: lookup, source, clock: systemClock, rng: systemRng, observer }),
      };
    });
    this.executor = new LookupExecutor(new InlineExecutor({}), steps);
  }

  async open(): Promise<this> {
    await this.executor.addStage('s', this.#plan.sources[0]?.stage);
    return this;
  }

  run(clicks: readonly object[]): Promise<StageResult> {
    const records = clicks.map((click) => ({
      key: null,
      value: Buffer.from(typeof click === 'string' ? click : JSON.stringify(click)),
      timestampMs: 1,
    }));
    return this.executor.run('s', taskOf(batchesOf(records, 3)));
  }

  async rows(clicks: readonly object[]): Promise<unknown[]> {
    return rowsOf(await this.run(clicks));
  }
}

function rowsOf({ sinks: [output] }: StageResult): unknown[] {
  assert.ok(output?.kind === 'console');
  return output.text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

const click = (user: number | null, page = 'p', ms = 1): object => ({ user, page, ms });
const joined = 'SELECT c.page, c.user, u.name, u.city FROM clicks c JOIN users u ON u.id = c.user';
const kept = 'SELECT c.page, c.user, u.name FROM clicks c LEFT JOIN users u ON u.id = c.user';
const people = { 1: [1, 'Ada', true, 'London'], 2: [2, 'Bob', false, null] };

suite('a stage with lookups', () => {
  test('INNER JOIN leaves out what has no row, NULL keys too; a key is asked for once', async () => {
    const table = new Table(people);
    const bench = await new Bench(joined, { users: users() }, { users: table }).open();
    const result = await bench.run([click(1, 'a'), click(2, 'b'), click(9, 'c'), click(null, 'd'), click(1, 'e')]);
    assert.deepEqual(rowsOf(result), [
      { page: 'a', user: 1, name: 'Ada', city: 'London' },
      { page: 'b', user: 2, name: 'Bob' },
      { page: 'e', user: 1, name: 'Ada', city: 'London' },
    ]);
    assert.deepEqual(table.requests, [['1', '2', '9']]);
    const { read, passed, filtered } = result.counters;
    assert.deepEqual([read, passed, filtered], [5, 3, 2]);
  });

  test('LEFT JOIN keeps every row; conditions besides the key decide what is joined', async () => {
    const table = new Table(people);
    const bench = await new Bench(`${kept} AND u.vip`, { users: users() }, { users: table }).open();
    assert.deepEqual(await bench.rows([click(1), click(2), click(3), click(null)]), [
      { page: 'p', user: 1, name: 'Ada' },
      { page: 'p', user: 2 },
      { page: 'p', user: 3 },
      { page: 'p' },
    ]);
  });

  test('rows and absences are kept; batches at once share what is on its way', async () => {
    const table = new Table(people);
    const bench = await new Bench(kept, { users: users() }, { users: table }).open();
    await Promise.all([bench.run([click(1), click(7)]), bench.run([click(7), click(1), click(2)])]);
    await bench.run([click(1), click(2), click(7)]);
    assert.deepEqual(table.requests.flat().toSorted(), ['1', '2', '7']);
    assert.deepEqual([bench.counted.hits, bench.counted.joined, bench.counted.misses], [3, 2, 3]);
  });

  test('with a ttl of nothing every batch asks, and sees what changed', async () => {
    const rows: Record<string, readonly unknown[]> = { ...people };
    const bench = await new Bench(
      kept,
      { users: users({ ttl: '0s', missTtl: '0s' }) },
      { users: new Table(rows) },
    ).open();
    assert.deepEqual(await bench.rows([click(1)]), [{ page: 'p', user: 1, name: 'Ada' }]);
    const later = await new Bench(
      kept,
      { users: users({ ttl: '0s' }) },
      { users: new Table({ 1: [1, 'Eve', true, ''] }) },
    ).open();
    assert.deepEqual(await later.rows([click(1)]), [{ page: 'p', user: 1, name: 'Eve' }]);
  });

  test('many keys go out in groups, so many at once', async () => {
    const rows = Object.fromEntries(Array.from({ length: 100 }, (_, id) => [id, [id, `n${id}`, true, null]]));
    const table = new Table(rows);
    const bench = await new Bench(kept, { users: users({ batchKeys: 10, inFlight: 3 }) }, { users: table }).open();
    const found = await bench.rows(Array.from({ length: 100 }, (_, id) => click(id)));
    assert.deepEqual(
      found.map((row) => (row as { name: string }).name),
      Object.keys(rows).map((id) => `n${id}`),
    );
    assert.equal(table.requests.length, 10);
    assert.equal(table.inFlightMax, 3);
  });

  test('a lookup by what another one gave', async () => {
    const bench = await new Bench(
      'SELECT c.page, g.country FROM clicks c JOIN users u ON u.id = c.user JOIN cities g ON g.name = u.city',
      { users: users(), cities },
      { users: new Table(people), cities: new Table({ London: ['London', 'UK'] }) },
    ).open();
    assert.deepEqual(await bench.rows([click(1, 'a'), click(2, 'b')]), [{ page: 'a', country: 'UK' }]);
  });

  test('only rows that get to the join are looked up', async () => {
    const table = new Table(people);
    const bench = await new Bench(`${joined} WHERE c.ms > 5`, { users: users() }, { users: table }).open();
    await bench.run([click(1, 'a', 1), click(2, 'b', 9), { user: 'bad' }]);
    assert.deepEqual(table.requests, [['2']]);
  });

  test('keys of every type and several columns find their rows', async () => {
    const table = new Table({
      '9007199254740993/é"\\/true': ['9007199254740993', 'é"\\', true, 'big'],
      '-1//false': [-1, '', false, 'empty'],
    });
    const bench = await new Bench(
      'SELECT u.what FROM clicks c JOIN users u ON u.id = c.user AND u.page = c.page AND u.vip = (c.ms > 5)',
      {
        users: {
          connector: 'postgres',
          table: 'users',
          schema: 'id BIGINT, page STRING, vip BOOLEAN, what STRING',
          lookup: { key: ['id', 'page', 'vip'] },
        },
      },
      { users: table },
    ).open();
    const big = '{"user":9007199254740993,"page":"é\\"\\\\","ms":9}' as unknown as object;
    assert.deepEqual(await bench.rows([big, click(-1, '', 1), click(-1, 'x', 1)]), [
      { what: 'big' },
      { what: 'empty' },
    ]);
  });
});

suite('rows of lookups in other sinks', () => {
  test('records of topics, encoded by the kernels, have what was looked up', async () => {
    const count = 600;
    const rows = Object.fromEntries(Array.from({ length: count }, (_, id) => [id, [id, `näme-${id}`, true, null]]));
    const sink = { connector: 'kafka', topic: 'out', compression: 'none' } as const;
    const bench = await new Bench(kept, { users: users() }, { users: new Table(rows) }, sink).open();
    const clicks = Array.from({ length: count }, (_, id) => click(id, `page-${id}`));
    const records = clicks.map((value) => ({ key: null, value: Buffer.from(JSON.stringify(value)), timestampMs: 1 }));
    const task = taskOf(batchesOf(records, count), { logPartitions: [1] });
    const { sinks, counters } = await bench.executor.run('s', task);
    assert.equal(counters.passed, count);
    const [output] = sinks;
    assert.ok(output?.kind === 'log');
    const text = output.appends.map(({ batch }) => Buffer.from(batch).toString('utf8')).join('');
    for (let id = 0; id < count; id++)
      assert.ok(text.includes(`{"page":"page-${id}","user":${id},"name":"näme-${id}"}`), `record ${id}`);
  });
});

suite('a source of lookups that fails', () => {
  const down = (): WeirError => new WeirError('LOOKUP_UNAVAILABLE', 'it is down');
  const open = (lookup: object, table: Table): Promise<Bench> =>
    new Bench(kept, { users: users({ retries: 2, ...lookup }) }, { users: table }).open();

  test('is asked again, and nobody notices', async () => {
    const table = new Table(people);
    table.failures.push(down(), down());
    const bench = await open({}, table);
    assert.deepEqual(await bench.rows([click(1)]), [{ page: 'p', user: 1, name: 'Ada' }]);
    assert.deepEqual(bench.counted.errors, ['LOOKUP_UNAVAILABLE', 'LOOKUP_UNAVAILABLE']);
  });

  const always = (): Table => {
    const table = new Table(people);
    table.failures.push(down(), down(), down());
    return table;
  };

  test('wait: the task may run again with the same bytes', async () => {
    const bench = await open({}, always());
    const records = [{ key: null, value: Buffer.from('{"user":1,"page":"p"}'), timestampMs: 1 }];
    const task = taskOf(batchesOf(records, 1));
    await assert.rejects(
      bench.executor.run('s', task),
      (error) => isWeirError(error, 'LOOKUP_UNAVAILABLE') && error.retryable,
    );
    assert.deepEqual(rowsOf(await bench.executor.run('s', task)), [{ page: 'p', user: 1, name: 'Ada' }]);
  });

  test('fail: the job stops and says what to do', async () => {
    const bench = await open({ onError: 'fail' }, always());
    await assert.rejects(bench.run([click(1)]), (error) => {
      assert.ok(isWeirError(error, 'LOOKUP_FAILED') && !error.retryable);
      assert.match(error.message, /job clicks, lookup users \(postgres table users\) did not answer \(it is down\)/);
      return true;
    });
  });

  test('null: as if there were no row, and it is asked for again the next time', async () => {
    const bench = await open({ onError: 'null' }, always());
    assert.deepEqual(await bench.rows([click(1)]), [{ page: 'p', user: 1 }]);
    assert.deepEqual(await bench.rows([click(1)]), [{ page: 'p', user: 1, name: 'Ada' }]);
    assert.equal(bench.counted.failed, 1);
  });

  test('deadLetter: the records of its keys and no others', async () => {
    const table = new Table(people);
    const bench = await open({ onError: 'deadLetter', batchKeys: 1, retries: 0 }, table);
    await bench.run([click(2)]);
    table.failures.push(down());
    const result = await bench.run([click(1, 'a'), click(2, 'b'), click(1, 'c')]);
    assert.deepEqual(rowsOf(result), [{ page: 'b', user: 2, name: 'Bob' }]);
    assert.deepEqual([result.counters.dead, result.deadLetters.rowCount], [2, 2]);
  });

  test('one that does not answer in time has failed', async () => {
    const table = new Table(people);
    table.hangs = true;
    const bench = await open({ timeout: '20ms', retries: 1, onError: 'null' }, table);
    assert.deepEqual(await bench.rows([click(1)]), [{ page: 'p', user: 1 }]);
    assert.equal(table.requests.length, 2);
  });

  test('what somebody has to change stops the job whatever the policy', async () => {
    const table = new Table(people);
    table.failures.push(new WeirError('UNAUTHORIZED', 'wrong password'));
    await assert.rejects((await open({ onError: 'null' }, table)).run([click(1)]), (error) =>
      isWeirError(error, 'UNAUTHORIZED'),
    );
    assert.equal(table.requests.length, 1);
  });

  test('answers that are no rows of the table are bad for good', async () => {
    const rows = { 1: [1, 'Ada', 'perhaps', ''] };
    await assert.rejects((await open({}, new Table(rows))).run([click(1)]), (error) => {
      assert.ok(isWeirError(error, 'LOOKUP_FAILED'));
      assert.match(error.message, /the value of vip is missing or not of its column's type/);
      return true;
    });
    const dead = await (
      await open({ onError: 'deadLetter' }, new Table({ ...people, ...rows }))
    ).run([click(1), click(2)]);
    assert.deepEqual([dead.counters.dead, rowsOf(dead).length], [1, 1]);
  });
});
