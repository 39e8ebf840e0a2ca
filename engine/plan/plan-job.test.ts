import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import { formatCqlType, type TableSchema } from '../../core/table/schema.ts';
import { formatType } from '../../core/types.ts';
import { compileProgram } from '../operators/program.ts';
import { explainJob } from './explain.ts';
import type { JobPlan } from './job-plan.ts';
import { planJob, type PlanOutcome } from './plan-job.ts';
import type { StagePlan } from './stage-plan.ts';

const users: JobSpecInput = {
  apiVersion: 'weir/v1',
  kind: 'Job',
  name: 'created-users',
  sources: {
    users: {
      connector: 'kafka',
      topic: 'users_created',
      startingOffsets: 'earliest',
      format: 'json',
      schema: `id STRING, first_name STRING, last_name STRING, gender STRING, address STRING, post_code INT, email STRING,
        username STRING, dob TIMESTAMP, registered_date TIMESTAMP, phone STRING, picture STRING`,
    },
  },
  query: `SELECT id, first_name, upper(last_name) AS last_name, gender, address, post_code, email, username,
       dob, registered_date, phone, picture
FROM users WHERE post_code IS NOT NULL`,
  sinks: [
    { connector: 'cassandra', keyspace: 'spark_streams', table: 'created_users', primaryKey: ['id'], create: true },
  ],
};

type Source = JobSpecInput['sources'][string];
type Sink = JobSpecInput['sinks'][number];

const table = {
  connector: 'cassandra',
  keyspace: 'ks',
  table: 'events',
  primaryKey: ['id'],
  create: true,
} as const satisfies Sink;

interface Small extends Partial<Omit<JobSpecInput, 'sources'>> {
  readonly source?: Partial<Extract<Source, { readonly connector: 'kafka' }>>;
}

/** A small job over `id STRING NOT NULL, n INT, tags ARRAY<STRING>, a STRUCT<b: INT>`, with changes. */
function small({ source, ...changes }: Small = {}): JobSpecInput {
  return {
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'small',
    sources: {
      src: {
        connector: 'kafka',
        topic: 'in',
        schema: 'id STRING NOT NULL, n INT, tags ARRAY<STRING>, a STRUCT<b: INT>',
        ...source,
      },
    },
    query: 'SELECT id, n FROM src',
    sinks: [table],
    ...changes,
  };
}

function plan(input: JobSpecInput, tables: readonly TableSchema[] | null = []): PlanOutcome {
  const known = tables === null ? null : new Map(tables.map((each) => [`${each.keyspace}.${each.table}`, each]));
  return planJob(jobSpecSchema.parse(input), { tables: known });
}

function planned(input: JobSpecInput, tables: readonly TableSchema[] | null = []): JobPlan {
  const outcome = plan(input, tables);
  assert.deepEqual(outcome.problems, []);
  if (outcome.plan === null) throw new Error('there is no plan');
  return outcome.plan;
}

const problems = (input: JobSpecInput, tables: readonly TableSchema[] | null = []): string[] =>
  plan(input, tables).problems.map(({ path, message }) => `${path}: ${message}`);

const stageOf = (job: JobPlan): StagePlan => {
  assert.ok(job.protocol === 'lanes');
  const [source] = job.sources;
  if (source === undefined) throw new Error('there is no source');
  return source.stage;
};

suite('the created-users job', () => {
  const job = planned(users);
  const stage = stageOf(job);

  test('runs as lanes, with its columns, filter and projection', () => {
    assert.equal(job.protocol, 'lanes');
    assert.equal(stage.columns.length, 12);
    assert.deepEqual(
      stage.operators.map(({ kind }) => kind),
      ['filter', 'project'],
    );
    assert.equal(
      stage.output
        .map(({ name, type }) => `${name} ${formatType(type)}`)
        .slice(4, 6)
        .join(', '),
      'address STRING, post_code INT',
    );
    assert.deepEqual(job.sources[0]?.startingOffsets, { kind: 'earliest' });
    assert.deepEqual(job.trigger, { kind: 'asap' });
    compileProgram(stage);
  });

  test('creates its table and binds every column', () => {
    assert.equal(job.createsTables, true);
    const [created] = job.tables;
    assert.deepEqual(created?.partitionKey, ['id']);
    assert.deepEqual(created?.columns.map(({ name, type }) => `${name} ${formatCqlType(type)}`).slice(4, 9), [
      'address text',
      'post_code int',
      'email text',
      'username text',
      'dob timestamp',
    ]);
    const [sink] = stage.sinks;
    if (sink?.kind !== 'table') throw new Error('expected a table');
    assert.deepEqual([sink.shape.partitionKeyCount, sink.shape.primaryKeyCount], [1, 1]);
    assert.deepEqual(
      sink.bindings.map(({ input }) => input),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    );
    assert.deepEqual(job.sinks, [{ connector: 'cassandra', options: {}, description: 'spark_streams.created_users' }]);
  });

  test('warns that its key may be NULL', () => {
    assert.match(job.warnings.join('\n'), /id is part of the primary key .* may be NULL/);
    assert.deepEqual(planned({ ...users, query: `${users.query} AND id IS NOT NULL` }).warnings, []);
  });

  test('is explained', () => {
    const text = explainJob(job);
    for (const part of [
      'protocol: lanes (every row',
      'filter: (post_code IS NOT NULL)',
      'upper(last_name) AS last_name: STRING',
      'PRIMARY KEY ((id))',
      'one row per (id)',
    ]) {
      assert.ok(text.includes(part), `${part} in\n${text}`);
    }
  });

  test('survives JSON and structured clone unchanged', () => {
    assert.deepEqual(JSON.parse(JSON.stringify(job)), job);
    assert.deepEqual(structuredClone(job), job);
  });
});

suite('input columns', () => {
  test('only what the query reads, and what must be there', () => {
    const stage = stageOf(
      planned(
        small({
          query: 'SELECT upper(id) AS id FROM src WHERE a.b > 1',
          source: { schema: 'id STRING, n INT, must INT NOT NULL, a STRUCT<b: INT>' },
        }),
      ),
    );
    assert.deepEqual(
      stage.columns.map((column) => [column.name, column.kind === 'field' && column.required]),
      [
        ['id', false],
        ['must', true],
        ['a', false],
      ],
    );
    compileProgram(stage);
  });

  test("the record's own columns, by Spark's names, unless the schema has the name", () => {
    const stage = stageOf(
      planned(small({ query: "SELECT concat(topic, '-', partition, '-', offset) AS id, timestamp AS t, n FROM src" })),
    );
    assert.deepEqual(
      stage.columns.map((column) => [column.kind, column.name]),
      [
        ['field', 'id'],
        ['field', 'n'],
        ['record', 'topic'],
        ['record', 'partition'],
        ['record', 'offset'],
        ['record', 'timestamp'],
      ],
    );
    const own = stageOf(
      planned(small({ query: 'SELECT id, topic FROM src', source: { schema: 'id STRING NOT NULL, topic INT' } })),
    );
    assert.deepEqual(
      own.columns.map((column) => [column.kind, formatType(column.type)]),
      [
        ['field', 'STRING'],
        ['field', 'INT'],
      ],
    );
  });

  test('raw records have key and value', () => {
    const stage = stageOf(
      planned(
        small({
          query: 'SELECT CAST(key AS STRING) AS id, value FROM src WHERE key IS NOT NULL',
          source: { format: 'raw', schema: undefined } as never,
        }),
      ),
    );
    assert.deepEqual(
      stage.columns.map(({ name, type }) => `${name} ${formatType(type)}`),
      ['key BINARY', 'value BINARY'],
    );
  });

  test('columns behind a generator move along when others go', () => {
    const stage = stageOf(
      planned(
        small({
          query: 'SELECT id, tag FROM src LATERAL VIEW explode(tags) AS tag',
          sinks: [{ ...table, primaryKey: ['id', 'tag'] }],
        }),
      ),
    );
    assert.deepEqual(
      stage.columns.map(({ name }) => name),
      ['id', 'tags'],
    );
    const project = stage.operators.at(-1);
    if (project?.kind !== 'project') throw new Error('expected a projection');
    assert.deepEqual(
      project.columns.map(({ expr }) => expr.kind === 'column' && expr.index),
      [0, 2],
    );
  });
});

suite('tables', () => {
  const existing: TableSchema = {
    keyspace: 'ks',
    table: 'events',
    columns: [
      { name: 'id', type: { kind: 'text' } },
      { name: 'day', type: { kind: 'date' } },
      { name: 'n', type: { kind: 'bigint' } },
      { name: 'other', type: { kind: 'text' } },
      { name: 'kept', type: { kind: 'list', element: { kind: 'text' }, frozen: false } },
    ],
    partitionKey: ['id'],
    clusteringKey: ['day'],
  };
  const sink = { ...table, primaryKey: ['id', 'day'], create: false } as const satisfies Sink;

  test('nested types become frozen collections, structs JSON', () => {
    const job = planned(
      small({
        query:
          "SELECT id, tags, a, map('x', n) AS m, array(a) AS l, DATE '2024-01-31' AS d, n / 2 AS h, CAST(n AS DECIMAL(9,2)) AS p FROM src",
      }),
    );
    assert.deepEqual(
      job.tables[0]?.columns.map(({ name, type }) => `${name} ${formatCqlType(type)}`),
      [
        'id text',
        'tags frozen<list<text>>',
        'a text',
        'm frozen<map<text, int>>',
        'l text',
        'd date',
        'h double',
        'p decimal',
      ],
    );
    const [, , a] = stageOf(job).output;
    assert.equal(a && formatType(a.type), 'STRING');
    assert.ok(explainJob(job).includes('to_json(a) AS a'));
  });

  test('keys of several columns', () => {
    const job = planned(
      small({
        query: "SELECT id, n, 'x' AS c FROM src WHERE n IS NOT NULL",
        sinks: [{ ...table, primaryKey: [['id', 'n'], 'c'] }],
      }),
    );
    assert.deepEqual([job.tables[0]?.partitionKey, job.tables[0]?.clusteringKey], [['id', 'n'], ['c']]);
    const [first] = stageOf(job).sinks;
    assert.ok(first?.kind === 'table' && first.shape.partitionKeyCount === 2 && first.shape.primaryKeyCount === 3);
  });

  test('an existing table gives the types; key columns come first', () => {
    const job = planned(small({ query: "SELECT n, DATE '2024-01-31' AS day, id FROM src", sinks: [sink] }), [existing]);
    const [first] = stageOf(job).sinks;
    if (first?.kind !== 'table') throw new Error('expected a table');
    assert.deepEqual(
      first.shape.columns.map(({ name }) => name),
      ['id', 'day', 'n'],
    );
    assert.deepEqual(
      first.bindings.map(({ input, to }) => [input, formatCqlType(to)]),
      [
        [2, 'text'],
        [1, 'date'],
        [0, 'bigint'],
      ],
    );
    assert.deepEqual([job.tables, job.createsTables], [[], false]);
  });

  test('a table that the job may create is given the columns that it lacks', () => {
    const create = { ...sink, create: true } as const;
    const query = "SELECT id, DATE '2024-01-31' AS day, n, n * 2 AS twice, 'x' AS `no name` FROM src";
    const job = planned(small({ query: query.replace(", 'x' AS `no name`", ''), sinks: [create] }), [existing]);
    assert.deepEqual(job.tables, [
      { ...existing, columns: [...existing.columns, { name: 'twice', type: { kind: 'int' } }] },
    ]);
    assert.equal(job.createsTables, false);
    assert.deepEqual(problems(small({ query, sinks: [create] }), [existing]), [
      'sinks[0].table: ks.events has no column no name',
    ]);
    const keyed = { ...create, primaryKey: ['id', 'other2'] };
    assert.match(
      problems(small({ query: "SELECT id, 'x' AS other2 FROM src", sinks: [keyed] }), [existing]).join(),
      /has no column other2|primary key/,
    );
  });

  test('what does not fit an existing table is told, all of it', () => {
    assert.deepEqual(
      problems(small({ query: "SELECT id, 'x' AS n, 1 AS othr, tags AS kept FROM src", sinks: [sink] }), [existing]),
      [
        'sinks[0].table: the column n is STRING, but ks.events.n is bigint',
        'sinks[0].table: ks.events has no column othr',
        'sinks[0].table: ks.events.kept is a list that is not frozen, and a repeated write would double its elements',
        'sinks[0].table: the result lacks day, which is part of the primary key of ks.events',
      ],
    );
    assert.deepEqual(
      problems(
        small({ query: "SELECT id, DATE '2024-01-31' AS day FROM src", sinks: [{ ...sink, primaryKey: ['day'] }] }),
        [existing],
      ),
      ['sinks[0].primaryKey: ks.events exists with another primary key'],
    );
    const counter: TableSchema = {
      ...existing,
      columns: [
        { name: 'id', type: { kind: 'text' } },
        { name: 'n', type: { kind: 'counter' } },
      ],
      clusteringKey: [],
    };
    assert.match(problems(small({ sinks: [{ ...sink, primaryKey: ['id'] }] }), [counter]).join(), /counter table/);
  });

  test('a struct fits a user-defined type as it is', () => {
    const udt: TableSchema = {
      ...existing,
      columns: [
        { name: 'id', type: { kind: 'text' } },
        {
          name: 'a',
          type: {
            kind: 'udt',
            keyspace: 'ks',
            name: 'ab',
            fields: [{ name: 'b', type: { kind: 'int' } }],
            frozen: true,
          },
        },
      ],
      clusteringKey: [],
    };
    const job = planned(small({ query: 'SELECT id, a FROM src', sinks: [{ ...sink, primaryKey: ['id'] }] }), [udt]);
    assert.equal(formatType(stageOf(job).output[1]?.type ?? { kind: 'null' }), 'STRUCT<b: INT>');
  });

  test('a table that is not there has to be created or asked for', () => {
    assert.deepEqual(problems(small({ sinks: [{ ...table, create: false }] })), [
      'sinks[0].table: there is no table ks.events',
    ]);
    const { primaryKey: _, ...keyless } = table;
    assert.deepEqual(problems(small({ sinks: [keyless] })), ['sinks[0]: ks.events has no primary key yet']);
    assert.deepEqual(problems(small({ sinks: [{ ...table, primaryKey: ['idd'] }] })), [
      'sinks[0].primaryKey[0]: the result has no column idd',
    ]);
    assert.deepEqual(problems(small({ query: 'SELECT id, upper(id) FROM src' })), [
      'query: the column "upper(id)" has no name that Cassandra takes',
    ]);
    // Without a cluster nothing is known of tables.
    planned(small({ sinks: [{ ...table, create: false }] }), null);
  });
});

suite('topics', () => {
  const topic = { connector: 'kafka', topic: 'out' } as const satisfies Sink;

  test('rows as JSON, or the bytes of columns', () => {
    const job = planned(
      small({
        query: 'SELECT id, to_json(struct(n, tags)) AS body FROM src',
        sinks: [{ ...topic, key: 'id', value: 'body', partitions: 3 }, topic],
      }),
    );
    assert.deepEqual(stageOf(job).sinks, [
      { kind: 'log', name: 'kafka', topic: 'out', compression: 'lz4', key: 0, value: 1, headers: true },
      { kind: 'log', name: 'kafka-2', topic: 'out', compression: 'lz4', key: -1, value: 'json', headers: true },
    ]);
    assert.equal(job.sinks[0]?.createPartitions, 3);
  });

  test('mistakes', () => {
    assert.deepEqual(problems(small({ sinks: [{ ...topic, key: 'n', value: 'nope' }] })), [
      'sinks[0].key: the column n is INT; keys and values are STRING or BINARY',
      'sinks[0].value: the result has no column nope',
    ]);
    assert.match(problems(small({ sinks: [{ ...topic, topic: 'in' }] })).join(), /read its own rows for ever/);
    assert.match(
      problems(small({ query: 'SELECT id, a FROM src', sinks: [table, topic] })).join(),
      /one sink takes as text and another as it is/,
    );
  });
});

suite('the rest of the job file', () => {
  test('triggers, offsets, policies', () => {
    const job = planned(
      small({
        trigger: '250ms',
        onBadRecord: { deadLetter: { topic: 'dead' } },
        source: { startingOffsets: { timestamp: '2024-01-01T00:00:00Z' }, failOnDataLoss: false, brokers: 'b:9092' },
      }),
    );
    assert.deepEqual(job.trigger, { kind: 'interval', everyMs: 250 });
    assert.equal(job.deadLetterTopic, 'dead');
    assert.equal(stageOf(job).onBadRecord, 'deadLetter');
    const [source] = job.sources;
    assert.deepEqual(source?.startingOffsets, { kind: 'timestamp', timestampMs: 1704067200000 });
    assert.equal(source?.onDataLoss, 'skip');
    assert.deepEqual(source?.options, { brokers: 'b:9092' });
    assert.deepEqual(planned(small({ trigger: 'availableNow' })).trigger, { kind: 'availableNow' });
  });

  test('every problem comes at once, with places in the SQL texts', () => {
    const outcome = plan(
      small({
        timeZone: 'Mars/Olympus',
        query: 'SELECT idd, uper(id) AS u FROM src WHERE n',
        source: { failOnDataLoss: true, onDataLoss: 'skip' },
      }),
    );
    assert.equal(outcome.plan, null);
    assert.deepEqual(
      outcome.problems.map(({ path, message, sqlOffset }) => [path, message, sqlOffset]),
      [
        ['timeZone', 'there is no time zone Mars/Olympus', undefined],
        ['sources.src.failOnDataLoss', 'failOnDataLoss: true and onDataLoss: skip contradict each other', undefined],
        ['query', 'WHERE takes a BOOLEAN, not INT', 41],
        ['query', 'there is no column idd', 7],
        ['query', 'there is no function uper', 12],
      ],
    );
    assert.match(problems(small({ outputMode: 'complete' })).join(), /complete needs an aggregation/);
  });

  test('a mistake in the schema is told alone, not with all the names that it takes away', () => {
    assert.deepEqual(problems(small({ source: { schema: 'id STRNG, n INT' } })), [
      'sources.src.schema: there is no type STRNG',
    ]);
    assert.deepEqual(problems(small({ source: { schema: 'id STRNG' }, query: 'SELECT FROM src' })).length, 2);
  });

  test('one source, columns of different names, types that a sink can hold', () => {
    const two = small();
    const twice: JobSpecInput = {
      ...two,
      sources: { ...two.sources, other: { connector: 'kafka', topic: 'x', schema: 'id STRING' } },
    };
    assert.deepEqual(problems(twice), ['sources.other: the query does not read the source other']);
    assert.match(
      problems(small({ query: 'SELECT id, n AS ID FROM src' })).join(),
      /two columns of the result are called ID/,
    );
    assert.match(problems(small({ query: 'SELECT id, NULL AS x FROM src' })).join(), /NULL without a type/);
    assert.match(problems(small({ query: 'SELECT id, INTERVAL 1 DAY AS x FROM src' })).join(), /no sink can hold/);
    const placeOf = (query: string): string => {
      const { problems: found } = planJob(jobSpecSchema.parse(small({ query })), { tables: null });
      const [{ sqlOffset = -1, sqlLength = 0 } = {}] = found;
      return sqlOffset < 0 ? 'the query' : query.slice(sqlOffset, sqlOffset + sqlLength);
    };
    assert.equal(placeOf('SELECT id, n AS ID FROM src'), 'ID');
    assert.equal(placeOf('SELECT id, upper(id) FROM src'), 'upper(id)');
    assert.equal(placeOf('SELECT *, upper(id) FROM src'), 'the query');
    const { schema: _, ...bare } = two.sources['src'] as Source;
    assert.deepEqual(problems({ ...two, sources: { src: bare } }), ['sources.src: format: json needs a schema']);
  });

  test('deletes need a primary key that is known without the value', () => {
    assert.match(problems(small({ onNullValue: 'delete' })).join(), /id comes from the value/);
    planned(small({ onNullValue: 'delete', query: 'SELECT CAST(key AS STRING) AS id, n FROM src' }));
    assert.match(
      problems(
        small({ onNullValue: 'delete', query: 'SELECT CAST(key AS STRING) AS id, explode(tags) AS tag FROM src' }),
      ).join(),
      /does not go with explode/,
    );
  });

  test('tables with one row per record are pointed to ignoreNulls', () => {
    const job = planned(
      small({
        query: 'SELECT topic, partition, offset, n FROM src',
        sinks: [{ ...table, primaryKey: [['topic', 'partition'], 'offset'] }],
      }),
    );
    assert.match(job.warnings.join(), /ignoreNulls: true/);
  });
});
