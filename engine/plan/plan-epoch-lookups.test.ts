import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import type { EpochsPlan, MapStage } from './epoch-plan.ts';
import { explainJob } from './explain.ts';
import { planJob } from './plan-job.ts';

type Tables = NonNullable<JobSpecInput['tables']>;

const users: Tables[string] = {
  connector: 'http',
  url: 'https://api.example.com/users/{id}',
  schema: 'id BIGINT, name STRING NOT NULL, city STRING',
  lookup: { key: ['id'] },
};
const cities: Tables[string] = {
  connector: 'postgres',
  table: 'geo.cities',
  schema: 'name STRING, country STRING',
  lookup: { key: ['name'] },
};
const weights: Tables[string] = { schema: 'page STRING, weight INT', rows: [['/', 2]] };

function job(query: string, tables: Tables, changes: Partial<JobSpecInput> = {}): JobSpecInput {
  return {
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'clicks',
    sources: {
      clicks: {
        connector: 'kafka',
        topic: 'clicks',
        schema: 'user BIGINT, page STRING, ms INT, at TIMESTAMP',
        watermark: { column: 'at', delay: '10s' },
      },
    },
    tables,
    query,
    sinks: [{ connector: 'console' }],
    outputMode: 'update',
    ...changes,
  };
}

function planned(input: JobSpecInput): { readonly plan: EpochsPlan; readonly map: MapStage } {
  const { plan, problems } = planJob(jobSpecSchema.parse(input), { tables: null });
  assert.deepEqual(problems, []);
  assert.equal(plan?.protocol, 'epochs');
  const map = plan.stages.find((stage) => stage.kind === 'map');
  assert.ok(map !== undefined);
  return { plan, map };
}

function refused(input: JobSpecInput, message: RegExp): void {
  const { problems } = planJob(jobSpecSchema.parse(input), { tables: null });
  assert.match(problems.map(({ path, message: text, hint }) => `${path}: ${text} (${hint ?? ''})`).join('\n'), message);
}

const byName =
  'SELECT u.name, count(*) AS n FROM clicks c JOIN users u ON u.id = c.user WHERE c.ms > 5 GROUP BY u.name';

suite('lookups in jobs that run by epochs', () => {
  test('keys are taken in front of the join, without what only the stage itself may do', () => {
    const { plan, map } = planned(job(byName, { users }));
    const [step] = map.lookups?.steps ?? [];
    assert.deepEqual(
      step?.keys.operators.map(({ kind }) => kind),
      ['filter', 'project'],
    );
    assert.deepEqual(step?.keys.sinks, [{ kind: 'keys', name: 'keys' }]);
    assert.equal(step?.keys.onBadRecord, 'skip');
    assert.deepEqual(
      map.lookups?.tables.map(({ name }) => name),
      ['users'],
    );
    assert.deepEqual(plan.statics, [], 'nothing is read whole');
  });

  test('the key of one lookup may come out of another one; branches share a table', () => {
    const chained = planned(
      job(
        'SELECT g.country, count(*) AS n FROM clicks c JOIN users u ON u.id = c.user LEFT JOIN cities g ON g.name = u.city GROUP BY g.country',
        { users, cities },
      ),
    );
    assert.deepEqual(
      chained.map.lookups?.steps.map(({ table, keys }) => [table.name, keys.tables?.map(({ name }) => name)]),
      [
        ['users', []],
        ['cities', ['users']],
      ],
    );
    const { map } = planned(
      job(
        `SELECT name, count(*) AS n FROM (SELECT u.name FROM clicks c JOIN users u ON u.id = c.user
           UNION ALL SELECT u.name FROM clicks c JOIN users u ON u.id = c.ms) GROUP BY name`,
        { users },
      ),
    );
    assert.equal(map.lookups?.steps.length, 2);
    assert.equal(map.lookups?.tables.length, 1);
  });

  test('what stands for the question changes with the question, and not with how it is asked', () => {
    const definition = (table: Tables[string], query = byName): string | undefined =>
      planned(job(query, { users: table })).map.lookups?.definition;
    const before = definition(users);
    assert.match(before ?? '', /^[0-9a-f]{8}$/);
    assert.equal(definition({ ...users, lookup: { key: ['id'], ttl: '1h', inFlight: 3 } }), before);
    assert.notEqual(definition({ ...users, url: 'https://other.example.com/{id}' }), before);
    assert.notEqual(definition(users, byName.replace('> 5', '> 6')), before);
  });

  test('jobs that run by epochs without state look up too', () => {
    const { map } = planned(
      job(
        'SELECT c.page, u.name FROM clicks c LEFT JOIN users u ON u.id = c.user',
        { users },
        { sinks: [{ connector: 'files', path: '/tmp/x' }], outputMode: 'append' },
      ),
    );
    assert.equal(map.lookups?.steps.length, 1);
  });

  test('explain says where rows come from', () => {
    const text = explainJob(planned(job(byName, { users })).plan);
    assert.match(text, / {2}lookup: inner with table users/);
    assert.match(text, / {2}lookup users: GET https:\/\/api\.example\.com\/users\/\{id\} by \(id\), 100000 keys kept/);
  });

  test('behind an operator with state, and behind a table that is read whole, nothing is looked up', () => {
    refused(
      job(
        'SELECT a.user, a.n, u.name FROM (SELECT user, count(*) AS n FROM clicks GROUP BY user) a JOIN users u ON u.id = a.user',
        { users },
      ),
      /query: users is looked up for what an operator with state gives.*join it in a sub-query below/,
    );
    const whole = (joins: string): JobSpecInput =>
      job(`SELECT u.name, sum(w.weight) AS n FROM clicks c ${joins} GROUP BY u.name`, { users, weights });
    const [first, second] = ['JOIN users u ON u.id = c.user', 'JOIN weights w ON w.page = c.page'];
    refused(whole(`${second} ${first}`), /users is looked up behind the join with weights.*join users first/);
    planned(whole(`${first} ${second}`));
  });

  test('a table that nobody joins, that is joined otherwise or that a sub-query reads is refused', () => {
    refused(job('SELECT page, count(*) AS n FROM clicks GROUP BY page', { users }), /does not join the table users/);
    refused(job(byName.replace('u.id = c.user', 'u.name = c.page'), { users }), /does not compare users\.id with =/);
    refused(
      job('SELECT c.page, count(*) AS n FROM clicks c WHERE c.ms > (SELECT max(id) FROM users) GROUP BY c.page', {
        users,
      }),
      /users is looked up by key, and a sub-query over tables alone would read it whole/,
    );
  });
});
