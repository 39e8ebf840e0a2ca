import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import type { PlanFacts } from './analyzed-job.ts';
import { explainJob } from './explain.ts';
import type { LanesPlan } from './job-plan.ts';
import { planJob } from './plan-job.ts';

type Tables = NonNullable<JobSpecInput['tables']>;

const http: Extract<Tables[string], { connector: 'http' }> = {
  connector: 'http',
  url: 'https://api.example.com/users/{id}?v=2',
  schema: 'id BIGINT, name STRING NOT NULL, city STRING',
  lookup: { key: ['id'] },
};

const cities: Extract<Tables[string], { connector: 'postgres' }> = {
  connector: 'postgres',
  table: 'geo.cities',
  schema: 'name STRING, country STRING',
  lookup: { key: ['name'], ttl: '1h', onError: 'null' },
};

function job(query: string, tables: Tables, changes: Partial<JobSpecInput> = {}): JobSpecInput {
  return {
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'clicks',
    sources: {
      clicks: { connector: 'kafka', topic: 'clicks', schema: 'user BIGINT, page STRING, ms INT, at TIMESTAMP' },
    },
    tables,
    query,
    sinks: [{ connector: 'console' }],
    ...changes,
  };
}

function planned(input: JobSpecInput): LanesPlan {
  const { plan, problems } = planJob(jobSpecSchema.parse(input), { tables: null });
  assert.deepEqual(problems, []);
  assert.equal(plan?.protocol, 'lanes');
  return plan;
}

function refused(input: JobSpecInput, message: RegExp, facts: PlanFacts = { tables: null }): void {
  const { problems } = planJob(jobSpecSchema.parse(input), facts);
  const texts = problems.map(({ path, message: text, hint }) => `${path}: ${text} (${hint ?? ''})`);
  assert.match(texts.join('\n'), message);
}

suite('tables that are looked up', () => {
  test('a job with a lookup runs in lanes, and its keys are those of the rows that get there', () => {
    const plan = planned(
      job('SELECT c.page, u.name FROM clicks c JOIN users u ON u.id = c.user WHERE c.ms > 5', { users: http }),
    );
    const [source] = plan.sources;
    const [lookup] = source?.lookups ?? [];
    assert.ok(source !== undefined && lookup !== undefined);
    assert.deepEqual(lookup.keys.columns.map(({ name }) => name).toSorted(), ['ms', 'user']);
    assert.deepEqual(
      lookup.keys.operators.map(({ kind }) => kind),
      ['filter', 'project'],
    );
    assert.deepEqual(lookup.keys.sinks, [{ kind: 'keys', name: 'keys' }]);
    assert.deepEqual(
      source.stage.tables?.map(({ name }) => name),
      ['users'],
    );
    assert.deepEqual(source.stage.columns.map(({ name }) => name).toSorted(), ['ms', 'page', 'user']);
  });

  test('nothing of a plan without lookups changes', () => {
    const [source] = planned(job('SELECT page FROM clicks', {})).sources;
    assert.equal(source?.lookups, undefined);
    assert.equal(source?.stage.tables, undefined);
  });

  test('the key of one lookup may come out of another one', () => {
    const { sources } = planned(
      job(
        'SELECT c.page, u.name, g.country FROM clicks c JOIN users u ON u.id = c.user LEFT JOIN cities g ON g.name = u.city',
        { users: http, cities },
      ),
    );
    const lookups = sources[0]?.lookups ?? [];
    assert.deepEqual(
      lookups.map(({ table, keys }) => [table.name, keys.tables?.map(({ name }) => name)]),
      [
        ['users', []],
        ['cities', ['users']],
      ],
    );
  });

  test('explain says where rows come from and how long they are kept', () => {
    const text = explainJob(
      planned(job('SELECT c.page, u.name FROM clicks c LEFT JOIN users u ON u.id = c.user', { users: http })),
    );
    assert.match(
      text,
      /lookup users: GET https:\/\/api\.example\.com\/users\/\{id\} by \(id\), 100000 keys kept for 1m, 16 requests at once, on error: wait/,
    );
    assert.match(text, / {2}lookup: left with table users/);
  });

  test('a join that does not name one row by its key is refused', () => {
    const tables = { users: http };
    refused(
      job('SELECT u.name FROM clicks c JOIN users u ON u.name = c.page', tables),
      /does not compare users\.id with =/,
    );
    refused(
      job('SELECT u.name FROM clicks c JOIN users u ON u.id <=> c.user', tables),
      /does not compare users\.id with =/,
    );
    refused(
      job('SELECT c.page FROM clicks c LEFT SEMI JOIN users u ON u.id = c.user', tables),
      /goes with INNER and LEFT JOIN, not with SEMI/,
    );
    refused(
      job('SELECT a.name, b.city FROM clicks c JOIN users a ON a.id = c.user JOIN users b ON b.id = c.ms', tables),
      /joins users 2 times/,
    );
    refused(job('SELECT page FROM clicks', tables), /the query does not join the table users/);
  });

  test('definitions that cannot be are refused', () => {
    const query = 'SELECT c.page, u.name FROM clicks c JOIN users u ON u.id = c.user';
    refused(
      job(query, { users: { ...http, lookup: { key: ['idd'] } } }),
      /lookup\.key\[0\]: .*no column idd \(did you mean id/i,
    );
    refused(job(query, { users: { ...http, url: 'https://x/y' } }), /url: the address does not name the key column id/);
    refused(
      job(query, { users: { ...http, url: 'https://x/{id}/{name}' } }),
      /names \{name\}, which is no column of the key/,
    );
    refused(
      job(query, {
        users: {
          ...cities,
          url: 'postgres://a:secret@db/x',
          schema: 'id BIGINT, name STRING',
          lookup: { key: ['id'] },
        },
      }),
      /holds a password/,
    );
    refused(
      job(query, { users: { ...http, schema: 'id DOUBLE, name STRING' } }),
      /id is DOUBLE, which no row is looked up by/,
    );
  });

  test('a table of Cassandra is looked up by its whole primary key', () => {
    const existing: TableSchema = {
      keyspace: 'ks',
      table: 'users',
      columns: [
        { name: 'org', type: { kind: 'text' } },
        { name: 'id', type: { kind: 'bigint' } },
        { name: 'name', type: { kind: 'text' } },
      ],
      partitionKey: ['org'],
      clusteringKey: ['id'],
    };
    const facts: PlanFacts = { tables: new Map([['ks.users', existing]]) };
    const users: Tables[string] = { connector: 'cassandra', keyspace: 'ks', table: 'users', lookup: { key: ['id'] } };
    const query = 'SELECT c.page, u.name FROM clicks c JOIN users u ON u.id = c.user';
    refused(job(query, { users }), /the primary key of ks\.users is \(org, id\) \(write key: \[org, id\]\)/, facts);
  });

  test('sinks and policies that would keep parts of a former answer are refused', () => {
    const query = 'SELECT c.page AS id, u.name FROM clicks c JOIN users u ON u.id = c.user';
    const sink = { connector: 'cassandra' as const, keyspace: 'k', table: 't', primaryKey: ['id'], create: true };
    refused(
      job(query, { users: http }, { sinks: [{ ...sink, ignoreNulls: true }] }),
      /ignoreNulls does not go with lookups/,
    );
    refused(
      job(query, { users: http }, { sinks: [sink], onNullValue: 'delete' }),
      /onNullValue: delete does not go with lookups/,
    );
  });
});
