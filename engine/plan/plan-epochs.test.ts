import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobSpecSchema, type JobSpecInput } from '../../core/job/spec.ts';
import { formatCqlType, type TableSchema } from '../../core/table/schema.ts';
import { formatType } from '../../core/types.ts';
import type { EpochsPlan, EpochStage } from './epoch-plan.ts';
import { explainMermaid } from './explain-chart.ts';
import { explainJob } from './explain.ts';
import { planJob, type PlanOutcome } from './plan-job.ts';

const schema = 'id STRING NOT NULL, word STRING NOT NULL, n BIGINT, ts TIMESTAMP';
const clicks = {
  connector: 'kafka',
  topic: 'clicks',
  schema,
  watermark: { column: 'ts', delay: '10 seconds' },
} as const;

interface Small extends Partial<JobSpecInput> {
  readonly query: string;
}

function job(changes: Small): JobSpecInput {
  return {
    apiVersion: 'weir/v1',
    kind: 'Job',
    name: 'counts',
    sources: { clicks },
    sinks: [{ connector: 'console' }],
    ...changes,
  };
}

function plan(changes: Small, tables: readonly TableSchema[] | null = []): PlanOutcome {
  const known = tables === null ? null : new Map(tables.map((each) => [`${each.keyspace}.${each.table}`, each]));
  return planJob(jobSpecSchema.parse(job(changes)), { tables: known });
}

function planned(changes: Small, tables: readonly TableSchema[] = []): EpochsPlan {
  const outcome = plan(changes, tables);
  assert.deepEqual(outcome.problems, []);
  assert.ok(outcome.plan?.protocol === 'epochs');
  return outcome.plan;
}

const problems = (changes: Small): string[] => plan(changes).problems.map(({ path, message }) => `${path}: ${message}`);
const hints = (changes: Small): (string | undefined)[] => plan(changes).problems.map(({ hint }) => hint);

const shape = (stage: EpochStage): string =>
  stage.kind === 'map'
    ? stage.branches.map(({ operators }) => operators.map(({ kind }) => kind).join(' ')).join(' | ')
    : `${stage.operatorId}: ${stage.branch.operators.map(({ kind }) => kind).join(' ')}`.trim();

const windowed = `SELECT window.start AS window_start, word, count(*) AS hits
  FROM clicks GROUP BY window(ts, '5 seconds'), word`;

const table = { connector: 'cassandra', keyspace: 'ks', table: 'hits', create: true } as const;

suite('a windowed count', () => {
  test('runs by epochs, and says why', () => {
    const job = planned({ query: windowed });
    assert.equal(job.protocolReason, 'aggregate-1 keeps groups over many records');
    assert.deepEqual(job.stages.map(shape), [
      'watermark assignWindow project late partialAggregate',
      'aggregate-1: project',
    ]);
    assert.deepEqual(job.watermarks, [{ delayUs: 10_000_000, sources: ['clicks'], description: 'clicks.ts' }]);
    assert.equal(job.noDataEpochs, true);
    assert.equal(planned({ query: windowed, noDataEpochs: false }).noDataEpochs, false);
    assert.equal(planned({ query: windowed, outputMode: 'complete' }).noDataEpochs, false);
    assert.deepEqual(
      job.stages.map((stage) => (stage.kind === 'map' ? stage.scan.columns.map(({ name }) => name) : [])),
      [['id', 'word', 'ts'], []],
    );
  });

  test('takes the options of epochs', () => {
    const job = planned({
      query: windowed,
      sources: {
        clicks: {
          ...clicks,
          maxOffsetsPerTrigger: 100,
          minOffsetsPerTrigger: 5,
          maxTriggerDelay: '5 seconds',
          idleTimeout: '30s',
        },
      },
      trigger: { processingTime: '2 seconds' },
      onLate: 'deadLetter',
      watermarkPolicy: 'max',
      limits: { stateBytes: 1000 },
    });
    const [source] = job.sources;
    assert.deepEqual(source?.limits, { maxOffsetsPerTrigger: 100, minOffsetsPerTrigger: 5, maxTriggerDelayMs: 5000 });
    assert.equal(source?.idleTimeoutMs, 30_000);
    assert.deepEqual(job.trigger, { kind: 'interval', everyMs: 2000 });
    assert.deepEqual([job.onLate, job.watermarkPolicy, job.stateBytesMax], ['deadLetter', 'max', 1000]);
  });

  test('is explained with its state and its end', () => {
    const text = explainJob(planned({ query: windowed }));
    for (const line of [
      'protocol: epochs (aggregate-1 keeps groups over many records)',
      'output mode: append',
      'watermark clicks.ts: 10s behind the latest event',
      'late rows: counted and dropped',
      'stage 0: map of clicks, format json, bad records: dead letters, null values: skip',
      '  reads: id STRING NOT NULL, word STRING NOT NULL, ts TIMESTAMP',
      'stage 1: aggregate-1, groups in append mode',
      '  -> sinks',
      'sink console: prints rows',
    ])
      assert.ok(text.split('\n').includes(line), `${line}\n\nis not in\n\n${text}`);
    assert.match(text, /^ {2}key: window STRUCT<start: TIMESTAMP, end: TIMESTAMP>, word STRING$/m);
    assert.match(text, /^ {2}forgets: a group when window\.end <= the watermark$/m);
    assert.match(text, /^ {2}-> stage 1, by \(window, word\)$/m);
    const mermaid = explainMermaid(planned({ query: windowed }));
    assert.match(mermaid, /^flowchart LR$/m);
    assert.match(mermaid, /stage0 -->\|"window, word"\| stage1/);
    assert.match(mermaid, /stage1 --> sink0/);
  });

  test('goes on through a plan as JSON', () => {
    const job = planned({ query: windowed });
    assert.deepEqual(JSON.parse(JSON.stringify(job)), structuredClone(job));
  });
});

suite('the choice of the protocol', () => {
  const select = 'SELECT id, n FROM clicks WHERE n > 1';
  const protocolOf = (changes: Small): string => {
    const outcome = plan(changes);
    assert.deepEqual(outcome.problems, []);
    return `${outcome.plan?.protocol}: ${outcome.plan?.protocolReason}`;
  };

  test('a chain over one source is a lane, with or without a watermark', () => {
    assert.match(protocolOf({ query: select }), /^lanes: every row is a function of one record/);
  });

  test('a step, a limit, another read or a static table make it epochs', () => {
    assert.match(protocolOf({ query: select, trigger: 'manual' }), /^epochs: trigger: manual/);
    const limited = { clicks: { ...clicks, maxOffsetsPerTrigger: 10 } };
    assert.match(protocolOf({ query: select, sources: limited }), /^epochs: maxOffsetsPerTrigger/);
    assert.match(protocolOf({ query: `${select} UNION ALL ${select}` }), /^epochs: UNION ALL/);
    const tables = { names: { schema: 'id STRING, name STRING', rows: [['a', 'Ann']] } };
    assert.match(
      protocolOf({ query: 'SELECT c.id, name FROM clicks c JOIN names ON c.id = names.id', tables }),
      /^epochs: rows are joined with a static table/,
    );
  });

  test('a stateless job by epochs is map stages into the sinks', () => {
    const job = planned({ query: select, trigger: 'manual' });
    assert.deepEqual(job.stages.map(shape), ['watermark filter project']);
    assert.deepEqual(job.noDataEpochs, false);
    const [stage] = job.stages;
    assert.ok(stage?.kind === 'map');
    assert.deepEqual(stage.branches[0]?.target, { kind: 'sink' });
    assert.deepEqual(
      stage.branches[0]?.output.map(({ name }) => name),
      ['id', 'n'],
    );
  });
});

suite('tables', () => {
  test('hold one row per group', () => {
    const job = planned({ query: windowed, sinks: [{ ...table, primaryKey: ['word', 'window_start'] }] });
    assert.deepEqual(job.warnings, []);
    const [sink] = job.sinkPlans;
    assert.ok(sink?.kind === 'table');
    assert.deepEqual(
      sink.shape.columns.map(({ name, type }) => `${name} ${formatCqlType(type)}`),
      ['word text', 'window_start timestamp', 'hits bigint'],
    );
  });

  test('without a primary key get one proposed: the groups', () => {
    assert.deepEqual(hints({ query: windowed, sinks: [table] }), ['add primaryKey: [word, window_start]']);
    const two = 'SELECT word, id, count(*) AS c, window.end AS e FROM clicks GROUP BY word, id, window(ts, "1 hour")';
    assert.deepEqual(hints({ query: two, sinks: [table] }), ['add primaryKey: [[word, id], e]']);
  });

  test('with a key that is none of the groups are pointed to', () => {
    const query = 'SELECT word, count(*) AS hits FROM clicks GROUP BY word, id';
    const job = planned({ query, outputMode: 'update', sinks: [{ ...table, primaryKey: ['word', 'hits'] }] });
    assert.deepEqual(
      job.warnings.filter((warning) => warning.includes('primary key')),
      [
        'rows are one per id, which the primary key of ks.hits does not hold: groups that share (word, hits) replace one another',
      ],
    );
  });

  test('take the start and the end of a window, not the struct', () => {
    const query = "SELECT window, count(*) AS hits FROM clicks GROUP BY window(ts, '5 seconds')";
    assert.deepEqual(problems({ query, sinks: [{ ...table, primaryKey: ['hits'] }] }), [
      'query: the column window is a window, and ks.hits takes its start and its end',
    ]);
    assert.deepEqual(hints({ query, sinks: [{ ...table, primaryKey: ['hits'] }] }), [
      'write window.start AS window_start, window.end AS window_end',
    ]);
  });

  test('take other structs as text, in every branch', () => {
    const query = `SELECT id, named_struct('n', n) AS s FROM clicks`;
    const job = planned({ query: `${query} UNION ALL ${query}`, sinks: [{ ...table, primaryKey: ['id'] }] });
    const [stage] = job.stages;
    assert.ok(stage?.kind === 'map');
    for (const { operators, output } of stage.branches) {
      assert.deepEqual(
        output.map(({ type }) => type.kind),
        ['string', 'string'],
      );
      assert.equal(operators.at(-1)?.kind, 'project');
    }
  });
});

suite('static tables', () => {
  const names = { schema: 'id STRING, name STRING, old BOOLEAN', rows: [['a', 'Ann', false]] };

  test('are joined where the rows are', () => {
    const query = `SELECT c.id, t.name FROM clicks c LEFT JOIN (SELECT id, name FROM names WHERE NOT old) t ON c.id = t.id`;
    const job = planned({ query, tables: { names } });
    assert.deepEqual(job.stages.map(shape), ['watermark staticJoin project']);
    assert.deepEqual(job.statics, [
      {
        name: 'names',
        schema: [
          { name: 'id', type: { kind: 'string' }, nullable: true },
          { name: 'name', type: { kind: 'string' }, nullable: true },
          { name: 'old', type: { kind: 'boolean' }, nullable: true },
        ],
        rows: { kind: 'inline', rows: [['a', 'Ann', false]] },
      },
    ]);
    const [stage] = job.stages;
    const join = stage?.kind === 'map' ? stage.branches[0]?.operators[1] : undefined;
    assert.ok(join?.kind === 'staticJoin');
    assert.ok(join.equi[0]?.right.kind === 'column');
    assert.equal(join.equi[0].right.index, 0);
    // The condition on the table is one of the join: behind the stream's columns.
    const [read] = join.residual?.kind === 'call' ? join.residual.args : [];
    assert.ok(read?.kind === 'column');
    assert.equal(join.output[read.index]?.name, 'old');
  });

  const stored: TableSchema = {
    keyspace: 'ks',
    table: 'names',
    columns: [
      { name: 'id', type: { kind: 'text' } },
      { name: 'name', type: { kind: 'text' } },
      { name: 'hits', type: { kind: 'counter' } },
      { name: 'tags', type: { kind: 'set', element: { kind: 'text' }, frozen: false } },
      { name: 'odd', type: { kind: 'custom', text: 'duration' } },
    ],
    partitionKey: ['id'],
    clusteringKey: [],
  };
  const inCassandra = { connector: 'cassandra', keyspace: 'ks', table: 'names' } as const;
  const joined = 'SELECT c.id, name FROM clicks c JOIN names ON c.id = names.id';

  test('of Cassandra are read anew when asked, by their own columns', () => {
    const job = planned({ query: joined, tables: { names: { ...inCassandra, refresh: '5m' } } }, [stored]);
    assert.deepEqual(job.statics[0]?.rows, { kind: 'table', ...inCassandra, refreshMs: 300_000 });
    assert.deepEqual(
      job.statics[0]?.schema.map(({ name, type, nullable }) => `${name} ${formatType(type)} ${nullable}`),
      ['id STRING false', 'name STRING true', 'hits BIGINT true', 'tags ARRAY<STRING> true'],
    );
    const chosen = planned({ query: joined, tables: { names: { ...inCassandra, schema: 'id STRING, name STRING' } } }, [
      stored,
    ]);
    assert.deepEqual(chosen.statics[0]?.schema.length, 2);
  });

  test('that are read anew do not stand where rows are taken back', () => {
    const query = `SELECT name, count(*) AS words FROM (SELECT id, word, count(*) AS c FROM clicks GROUP BY id, word) g
                   JOIN names ON names.id = g.id GROUP BY name`;
    const tables = { names: { ...inCassandra, refresh: '5m' } };
    const messages = (changes: Small): string[] => plan(changes, [stored]).problems.map(({ message }) => message);
    assert.deepEqual(messages({ query, tables, outputMode: 'update' }), [
      'aggregate-2 takes back rows of aggregate-1 as they were joined with names, which is read anew all the time',
    ]);
    assert.deepEqual(messages({ query, tables: { names: inCassandra }, outputMode: 'update' }), []);
  });

  test('of Cassandra must be there and have the columns', () => {
    assert.deepEqual(problems({ query: joined, tables: { names: inCassandra } }), [
      'tables.names.table: there is no table ks.names',
    ]);
    const odd = plan({ query: joined, tables: { names: { ...inCassandra, schema: 'id STRING, nam STRING' } } }, [
      stored,
    ]);
    assert.ok(
      odd.problems.some(
        ({ message, hint }) => message === 'ks.names has no column nam' && hint === 'did you mean name?',
      ),
    );
    // Without a cluster the columns have to be listed.
    assert.match(
      plan({ query: joined, tables: { names: inCassandra } }, null).problems[0]?.message ?? '',
      /not known here/,
    );
    const listed = { names: { ...inCassandra, schema: 'id STRING, name STRING' } };
    assert.deepEqual(plan({ query: joined, tables: listed }, null).problems, []);
  });

  test('are joined as they are, or as what a query makes of them', () => {
    const grouped =
      'SELECT c.id FROM clicks c JOIN (SELECT id, max(name) AS m FROM names GROUP BY id) t ON c.id = t.id';
    assert.deepEqual(problems({ query: grouped, tables: { names } }), []);
    const computed = 'SELECT c.id, u FROM clicks c LEFT JOIN (SELECT id, upper(name) AS u FROM names) t ON c.id = t.id';
    assert.deepEqual(problems({ query: computed, tables: { names } }), []);
    assert.deepEqual(problems({ query: computed.replace('LEFT JOIN', 'JOIN'), tables: { names } }), []);
  });

  test('mistakes', () => {
    const query = 'SELECT c.id, name FROM clicks c JOIN names ON c.id = names.id';
    const rows = [['a'], [1, 'Ann', false], ['b', null, null]];
    assert.deepEqual(
      problems({ query, tables: { names: { schema: 'id STRING, name STRING NOT NULL, old BOOLEAN', rows } } }),
      [
        'tables.names.rows[0]: the row has 1 values, the schema 3 columns',
        'tables.names.rows[1][0]: id is 1, not a value of STRING',
        'tables.names.rows[2][1]: name is NULL, which its schema does not allow',
      ],
    );
    assert.deepEqual(problems({ query: windowed, tables: { names } }), [
      'tables.names: the query does not join the table names',
    ]);
  });
});

test('watermarks stand on a TIMESTAMP of the source', () => {
  const of = (column: string): Small => ({
    query: windowed,
    sources: { clicks: { ...clicks, watermark: { column, delay: '1s' } } },
  });
  assert.match(
    problems(of('tss')).join('\n'),
    /^sources\.clicks\.watermark\.column: the source clicks has no column tss$/m,
  );
  assert.match(problems(of('n')).join('\n'), /a watermark stands on a TIMESTAMP, and n is BIGINT/);
});

test('what epochs have no meaning for is refused', () => {
  const limits = { clicks: { ...clicks, minOffsetsPerTrigger: 10, maxOffsetsPerTrigger: 5 } };
  assert.deepEqual(problems({ query: windowed, sources: limits }), [
    'sources.clicks.minOffsetsPerTrigger: an epoch waits for 10 records and takes 5 at most',
  ]);
  assert.deepEqual(problems({ query: windowed, sources: { clicks: { ...clicks, minPartitions: 4 } } }), [
    'sources.clicks.minPartitions: minPartitions has no meaning here: a partition is read in batches that run on all threads as they come',
  ]);
  assert.deepEqual(
    problems({ query: windowed, onNullValue: 'delete' }).map((problem) => problem.slice(0, 50)),
    ['onNullValue: onNullValue: delete goes with jobs wi'],
  );
});

suite('queries of several operators', () => {
  const others = { connector: 'kafka', topic: 'others', schema, watermark: { column: 'ts', delay: '1m' } } as const;

  test('a join of streams, grouped', () => {
    const job = planned({
      sources: { clicks, others },
      query: `SELECT window.start AS s, count(*) AS c
        FROM clicks l JOIN others r ON l.id = r.id AND r.ts BETWEEN l.ts AND l.ts + INTERVAL 10 SECONDS
        GROUP BY window(l.ts, '1 minute')`,
    });
    assert.deepEqual(job.stages.map(shape), [
      'watermark project late',
      'watermark project late',
      'join-1: assignWindow project late partialAggregate',
      'aggregate-1: project',
    ]);
    const text = explainJob(job);
    assert.match(
      text,
      /a row of the left side when ts \+ 10s <= the watermark; a row of the right side when ts <= the watermark/,
    );
  });

  test('a self-join scans its source once', () => {
    const job = planned({
      query: 'SELECT l.id, r.word FROM clicks l JOIN clicks r ON l.id = r.id',
    });
    assert.deepEqual(job.stages.map(shape), ['watermark project | watermark project', 'join-1: project']);
    assert.equal(job.noDataEpochs, false);
    assert.ok(job.warnings.some((warning) => warning.includes('left side for ever')));
  });

  test('deduplication below an aggregate below a limit', () => {
    const job = planned({
      query: `SELECT * FROM (SELECT window.start AS s, word, count(*) AS c
        FROM (SELECT DISTINCT id, word, ts FROM clicks) GROUP BY window(ts, '1 minute'), word) LIMIT 5`,
    });
    assert.deepEqual(
      job.stages.map((stage) => (stage.kind === 'map' ? 'map' : stage.state.kind)),
      ['map', 'dedup', 'aggregate', 'limit'],
    );
  });

  test('whole results in order', () => {
    const job = planned({
      query: 'SELECT word, count(*) AS c FROM clicks GROUP BY word ORDER BY c DESC LIMIT 3',
      outputMode: 'complete',
    });
    const sort = job.stages.at(-1);
    assert.ok(sort?.kind === 'state' && sort.state.kind === 'sort');
    assert.equal(sort.state.limit, 3);
    assert.deepEqual(
      sort.state.by.map(({ column }) => sort.inputs[0]?.[column]?.name),
      ['c'],
    );
  });

  test('top rows by key', () => {
    const job = planned({
      query: `SELECT word, id, n FROM (SELECT *, row_number() OVER (PARTITION BY word ORDER BY n DESC) AS rn FROM clicks) WHERE rn <= 3`,
      outputMode: 'update',
    });
    const rank = job.stages.at(-1);
    assert.ok(rank?.kind === 'state' && rank.state.kind === 'rank');
    assert.equal(rank.state.limit, 3);
    assert.deepEqual(
      rank.state.by.map(({ column }) => rank.inputs[0]?.[column]?.name),
      ['n'],
    );
    assert.deepEqual(rank.branch.operators.map(({ kind }) => kind).at(-1), 'project');
    const [map] = job.stages;
    assert.ok(map?.kind === 'map');
    const [target] = map.branches.map((branch) => branch.target);
    assert.ok(target?.kind === 'exchange');
    assert.deepEqual(target.top, { by: rank.state.by, most: 3 });
  });

  const sliding = (aggregate: string, spec = `'10 seconds', '2 seconds'`, outputMode: 'append' | 'update' = 'append') =>
    planned({
      query: `SELECT window.start AS s, word, ${aggregate} AS a FROM clicks GROUP BY window(ts, ${spec}), word`,
      outputMode,
    });
  const isPaned = (plan: EpochsPlan): boolean =>
    plan.stages.some(
      (stage) =>
        stage.kind === 'map' &&
        stage.branches.some(({ operators }) =>
          operators.some((operator) => operator.kind === 'assignWindow' && operator.panes === true),
        ),
    );

  test('windows that overlap are kept as panes where any order of rows gives the same, which go by the other keys', () => {
    for (const aggregate of [
      'count(*)',
      'max(n)',
      'sum(n)',
      'avg(n)',
      'count_if(n > 1)',
      'count(*) FILTER (WHERE n > 1)',
    ]) {
      const { stages } = sliding(aggregate);
      const [map, state] = stages;
      assert.ok(map?.kind === 'map' && state?.kind === 'state' && state.state.kind === 'aggregate');
      assert.deepEqual(state.state.panes, { sizeUs: 10e6, slideUs: 2e6 }, aggregate);
      const [branch] = map.branches;
      assert.ok(branch?.target.kind === 'exchange');
      assert.deepEqual(branch.target.keys, [1]);
      const given = branch.operators.filter((operator) => 'panes' in operator).map(({ kind }) => kind);
      assert.deepEqual(given, ['assignWindow', 'late']);
    }
    for (const aggregate of ['first(n)', 'collect_list(n)', 'count(DISTINCT n)', 'max(window.start)'])
      assert.equal(isPaned(sliding(aggregate)), false, aggregate);
    for (const aggregate of ['max(window)', 'count(window)'])
      assert.equal(isPaned(sliding(aggregate)), false, aggregate);
    assert.equal(isPaned(sliding('count(*)', `'10 seconds', '3 seconds'`)), false);
    assert.equal(isPaned(sliding('count(*)', `'10 seconds'`)), false);
    assert.match(explainJob(sliding('count(*)')), /forgets: a pane of 2s with the last window over it/);
  });

  test('windows that come out with every change are put together of panes before the exchange', () => {
    for (const [aggregate, expected] of [
      ['count(*)', true],
      ['avg(n)', true],
      // What is held of some rows may not fit beside what is held of others.
      ['sum(n)', false],
    ] as const) {
      const plan = sliding(aggregate, undefined, 'update');
      assert.equal(isPaned(plan), expected, aggregate);
      const [map, state] = plan.stages;
      assert.ok(map?.kind === 'map' && state?.kind === 'state' && state.state.kind === 'aggregate');
      assert.equal(state.state.panes, undefined);
      assert.ok(map.branches[0]?.target.kind === 'exchange');
      assert.deepEqual(map.branches[0].target.keys, [0, 1]);
      const given = map.branches[0].operators.filter((operator) => 'panes' in operator).map(({ kind }) => kind);
      assert.deepEqual(given, expected ? ['assignWindow', 'late', 'partialAggregate'] : []);
    }
  });

  test('panes of several flows meet in one state', () => {
    const both = '(SELECT ts, word FROM clicks UNION ALL SELECT ts, upper(word) AS word FROM clicks)';
    const { stages } = planned({
      query: `SELECT window.start AS s, word, count(*) AS a FROM ${both} GROUP BY window(ts, '10 seconds', '2 seconds'), word`,
    });
    const [map, state] = stages;
    assert.ok(map?.kind === 'map' && state?.kind === 'state' && state.state.kind === 'aggregate');
    assert.deepEqual(state.state.panes, { sizeUs: 10e6, slideUs: 2e6 });
    assert.equal(map.branches.length, 2);
    for (const { target } of map.branches) assert.ok(target.kind === 'exchange' && target.keys.join() === '1');
  });

  test('all rows of a key are sent where its rank keeps all, or looks at others than the first', () => {
    const targets = (calls: string, where: string) =>
      planned({
        query: `SELECT word, id, n FROM (SELECT *, ${calls} FROM clicks) WHERE ${where}`,
        outputMode: 'update',
      }).stages.flatMap((stage) => (stage.kind === 'map' ? stage.branches.map(({ target }) => target) : []));
    const over = 'OVER (PARTITION BY word ORDER BY n DESC)';
    for (const [calls, where] of [
      [`row_number() ${over} AS rn`, 'rn > 3'],
      [`row_number() ${over} AS rn`, 'rn <= 1000'],
      [`row_number() ${over} AS rn, lag(n) ${over} AS l`, 'rn <= 3'],
      [`dense_rank() ${over} AS rn`, 'rn <= 3'],
    ] as const)
      for (const target of targets(calls, where)) assert.ok(target.kind === 'exchange' && target.top === undefined);
  });

  test('sessions', () => {
    const job = planned({
      query: `SELECT word, session_window.start AS s, count(*) AS c FROM clicks GROUP BY session_window(ts, '10 seconds'), word`,
    });
    const session = job.stages.at(-1);
    assert.ok(session?.kind === 'state' && session.state.kind === 'session');
    assert.match(explainJob(job), /a session when its end <= the watermark/);
  });
});
