import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import type { SinkTable } from '../../core/row-sink.ts';
import { explainJob } from './explain.ts';
import { sinkPlansOf } from './job-plan.ts';
import { planJob } from './plan-job.ts';
import type { PlanOutcome } from './plan-job.ts';

const source = `apiVersion: weir/v1
kind: Job
name: shop
sources:
  orders:
    connector: kafka
    topic: orders
    schema: 'id INT NOT NULL, customer STRING, amount DECIMAL(10,2), at TIMESTAMP, tags ARRAY<STRING>'
`;

function plan(rest: string, table?: SinkTable | null): PlanOutcome {
  const { spec, problems } = loadJobFile(source + rest);
  assert.ok(spec !== null, JSON.stringify(problems));
  const known = table === null ? {} : { sinkTables: new Map(table === undefined ? [] : [[0, table]]) };
  return planJob(spec, { tables: null, ...known });
}

const query = 'query: SELECT id, customer, amount, at, tags FROM orders\n';
const sink = (text: string): string => `sinks:\n  - ${text}\n`;
const problemsOf = (outcome: PlanOutcome): string[] =>
  outcome.problems.map(({ path, message, hint }) => `${path}: ${message}${hint === undefined ? '' : `; ${hint}`}`);

const items: SinkTable = {
  columns: [
    { name: 'ID', type: 'bigint', required: true, hasDefault: false },
    { name: 'customer', type: 'character varying(20)', required: false, hasDefault: false },
    { name: 'amount', type: 'numeric(12,2)', required: false, hasDefault: false },
    { name: 'at', type: 'timestamp without time zone', required: false, hasDefault: false },
    { name: 'tags', type: 'jsonb', required: false, hasDefault: false },
    { name: 'added', type: 'timestamp with time zone', required: true, hasDefault: true },
  ],
  primaryKey: ['ID'],
  uniqueKeys: [['customer', 'at']],
};

describe('PostgreSQL sinks', () => {
  test('a table to create has types for every column, and its keys first', () => {
    const { plan: job } = plan(
      `${query}${sink('{ connector: postgres, table: items, primaryKey: [id], create: true }')}`,
    );
    assert.ok(job !== null);
    const [planned] = sinkPlansOf(job);
    assert.ok(planned?.kind === 'rows' && planned.format.kind === 'postgres');
    assert.equal(job.protocol, 'lanes');
    assert.deepEqual(
      planned.creates?.columns.map(({ name, type, required }) => `${name} ${type}${required ? ' NOT NULL' : ''}`),
      ['id integer NOT NULL', 'customer text', 'amount numeric(10,2)', 'at timestamp with time zone', 'tags jsonb'],
    );
    assert.deepEqual(planned.keys, [0]);
    assert.match(
      explainJob(job),
      /sink postgres: postgres public\.items, one row per \(id\), a later one replaces it, created when it is missing, exactly once/,
    );
  });

  test('a table that is there gives names and types', () => {
    const { plan: job, problems } = plan(
      `${query}${sink('{ connector: postgres, table: items, primaryKey: [customer, at] }')}`,
      items,
    );
    assert.deepEqual(problems, []);
    assert.ok(job !== null);
    const [planned] = sinkPlansOf(job);
    assert.ok(planned?.kind === 'rows');
    assert.deepEqual(
      planned.format.columns.map(({ name, to }) => `${name} ${to}`),
      [
        'customer character varying(20)',
        'at timestamp without time zone',
        'ID bigint',
        'amount numeric(12,2)',
        'tags jsonb',
      ],
    );
  });

  test('what does not fit is said with the remedy', () => {
    const to = '{ connector: postgres, table: items }';
    const cases: readonly (readonly [string, SinkTable | undefined, RegExp])[] = [
      [`${query}${sink(to)}`, undefined, /^sinks\[0\]\.table: there is no table public\.items; create it/],
      [
        `query: SELECT id, custumer FROM (SELECT id, customer AS custumer FROM orders)\n${sink(to)}`,
        items,
        /has no column custumer; did you mean customer/i,
      ],
      [
        `query: SELECT customer FROM orders\n${sink(to)}`,
        items,
        /public\.items\.ID is NOT NULL, and the result has no such column/,
      ],
      [
        `query: SELECT id, CAST(amount AS STRING) AS amount FROM orders\n${sink(to)}`,
        items,
        /the column amount is STRING, but public\.items\.amount is numeric\(12,2\); write a CAST/,
      ],
      [
        `${query}${sink('{ connector: postgres, table: items, primaryKey: [customer] }')}`,
        items,
        /sinks\[0\]\.primaryKey: public\.items has no unique key of these columns; it is \[ID\]/,
      ],
      [
        `query: SELECT customer, count(*) AS n FROM orders GROUP BY customer\noutputMode: update\n${sink('{ connector: postgres, table: t, create: true }')}`,
        undefined,
        /public\.t has no primaryKey, and outputMode: update changes rows/,
      ],
      [
        `${query}${sink("{ connector: postgres, url: 'postgres://a:secret@h/d', table: t, create: true }")}`,
        undefined,
        /sinks\[0\]\.url: the address holds a password/,
      ],
      [
        `${query}onNullValue: delete\n${sink('{ connector: postgres, table: t, primaryKey: [id], create: true }')}`,
        undefined,
        /onNullValue: delete must know the primary key without a value, but id comes from the value/,
      ],
    ];
    for (const [text, table, message] of cases) {
      const outcome = plan(text, table);
      assert.equal(outcome.plan, null, text);
      assert.ok(
        problemsOf(outcome).some((problem) => message.test(problem)),
        `${message} in ${problemsOf(outcome).join('\n')}`,
      );
    }
  });

  test('a table that the job may create is given the columns it lacks, but for keys', () => {
    const { columns } = items;
    const lacking = (name: string): SinkTable => ({
      ...items,
      columns: columns.filter((column) => column.name !== name),
    });
    const to = '{ connector: postgres, table: items, primaryKey: [customer, at]';
    const { plan: job, problems } = plan(`${query}${sink(`${to}, create: true }`)}`, lacking('tags'));
    assert.deepEqual(problems, []);
    const [planned] = sinkPlansOf(job!);
    assert.ok(planned?.kind === 'rows' && planned.creates?.columns.some(({ name }) => name === 'tags'));
    assert.match(problemsOf(plan(`${query}${sink(`${to} }`)}`, lacking('tags'))).join(), /has no column tags/);
    const key = plan(`${query}${sink(`${to}, create: true }`)}`, lacking('at'));
    assert.match(problemsOf(key).join(), /has no column at/);
  });

  test('a reference in the address is no password, and without facts nothing is refused', () => {
    const url = 'postgres://weir:${env:WEIR_SECRET_PG}@db:5432/shop';
    const { problems } = plan(`${query}${sink(`{ connector: postgres, url: '${url}', table: t }`)}`, null);
    assert.deepEqual(problems, []);
  });
});

describe('files', () => {
  test('make a job without state run by epochs, and say so', () => {
    const { plan: job } = plan(`${query}${sink('{ connector: files, path: /data/orders, partitionBy: [customer] }')}`);
    assert.ok(job?.protocol === 'epochs');
    assert.equal(job.protocolReason, 'files become visible by epochs');
    const [planned] = job.sinkPlans;
    assert.ok(planned?.kind === 'rows');
    assert.deepEqual(
      planned.format.columns.map(({ name }) => name),
      ['id', 'amount', 'at', 'tags'],
    );
    assert.deepEqual(planned.partitionBy, [1]);
    assert.ok(job.warnings.some((warning) => /trigger: 1m/.test(warning)));
  });

  test('are merged below a size and so often, where the job says so', () => {
    const settingsOf = (compact: string): unknown => {
      const [planned] = sinkPlansOf(plan(`${query}${sink(`{ connector: files, path: /data${compact} }`)}`).plan!);
      assert.ok(planned?.kind === 'rows');
      const { compactBelow, compactEveryMs } = planned.settings;
      return [compactBelow, compactEveryMs];
    };
    assert.deepEqual(settingsOf(''), [undefined, undefined]);
    assert.deepEqual(settingsOf(', compact: {}'), [16e6, 600_000]);
    assert.deepEqual(settingsOf(', compact: { below: 64KiB, every: 5s }'), [65_536, 5000]);
    assert.deepEqual(settingsOf(', compact: { below: 5000 }'), [5000, 600_000]);
    const large = plan(`${query}${sink('{ connector: files, path: /data, compact: { below: 1GB } }')}`);
    assert.match(problemsOf(large).join(), /sinks\[0\]\.compact\.below: files are merged in memory, up to 256MB/);
    const { spec, problems } = loadJobFile(
      `${source}${query}${sink('{ connector: files, path: /d, compact: { below: 16 mb } }')}`,
    );
    assert.equal(spec, null);
    assert.match(JSON.stringify(problems), /compact\.below/);
  });

  test('hold no results that change, no nested directories, no strange compression', () => {
    const to = (more: string): string => sink(`{ connector: files, path: /data/x${more} }`);
    const counts = 'query: SELECT customer, count(*) AS n FROM orders GROUP BY customer\noutputMode: update\n';
    for (const [text, message] of [
      [`${counts}${to('')}`, /outputMode: files are only ever added to/],
      [`${query}${to(', partitionBy: [tags]')}`, /tags is ARRAY<STRING>, which is no name of a directory/],
      [`${query}${to(', partitionBy: [nobody]')}`, /sinks\[0\]\.partitionBy\[0\]: the result has no column nobody/],
      [
        `${query}${to(', format: csv, compression: snappy')}`,
        /format csv are not compressed by snappy; choose gzip or none/,
      ],
      [`query: SELECT customer FROM orders\n${to(', partitionBy: [customer]')}`, /nothing is left for the files/],
    ] as const) {
      const outcome = plan(text);
      assert.ok(
        problemsOf(outcome).some((problem) => message.test(problem)),
        `${message} in ${problemsOf(outcome).join('\n')}`,
      );
    }
  });
});

test('a webhook is at least once, and called so', () => {
  const { plan: job } = plan(`${query}${sink("{ connector: webhook, url: 'https://example.org/hook?token=x' }")}`);
  assert.ok(job?.protocol === 'lanes');
  assert.equal(job.sinks[0]?.description, 'webhook https://example.org/hook');
  assert.match(explainJob(job), /sink webhook: webhook https:\/\/example\.org\/hook, rows as json, at least once/);
});
