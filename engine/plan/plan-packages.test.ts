import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseManifest } from '../../core/job/connector-manifest.ts';
import { loadJobFile, locateProblems } from '../../core/job/file.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { JobPlan } from './job-plan.ts';
import { planJob } from './plan-job.ts';

const options = {
  type: 'object',
  properties: { url: { type: 'string', minLength: 8 }, size: { type: 'integer', minimum: 1, default: 500 } },
  required: ['url'],
  additionalProperties: false,
};
const acme = parseManifest(
  'acme',
  JSON.stringify({
    formatVersion: 1,
    name: 'acme',
    sink: { about: 'a queue', guarantee: 'atLeastOnce', outputModes: ['append', 'update'], options },
    source: { about: 'a queue', options },
  }),
);
const sinkOnly = parseManifest(
  'only',
  JSON.stringify({
    formatVersion: 1,
    name: 'only',
    sink: { about: 'a sink', format: 'csv', guarantee: 'exactlyOnce' },
  }),
);
const connectors = new Map([
  ['acme', acme],
  ['only', sinkOnly],
]);

function planned(file: string, allowed = connectors): { plan: JobPlan | null; problems: readonly JobProblem[] } {
  const { spec, problems, positions } = loadJobFile(file);
  if (spec === null) return { plan: null, problems };
  const outcome = planJob(spec, { tables: null, connectors: allowed });
  return { plan: outcome.plan, problems: locateProblems(positions, outcome.problems) };
}

const kafka = '  users: { connector: kafka, topic: users, schema: id STRING NOT NULL }';
const job = (source: string, sink: string, more = ''): string =>
  `apiVersion: weir/v1\nkind: Job\nname: users\nsources:\n${source}\nquery: SELECT id FROM users\nsinks:\n${sink}\n${more}`;
const messages = (file: string): readonly string[] => planned(file).problems.map(({ message }) => message);

describe('connectors of packages', () => {
  test('a sink gets its options, with the defaults of its description', () => {
    const { plan, problems } = planned(job(kafka, '  - { connector: acme, url: acme://x }'));
    assert.deepEqual(problems, []);
    assert.equal(plan?.protocol, 'lanes');
    const [sink] = plan.protocol === 'lanes' ? (plan.sources[0]?.stage.sinks ?? []) : [];
    assert.ok(sink?.kind === 'rows');
    assert.deepEqual([sink.name, sink.connector, sink.format.kind], ['acme', 'weir-connector-acme', 'json']);
    assert.deepEqual(JSON.parse(String(sink.settings['options'])), { url: 'acme://x', size: 500 });
    assert.equal(plan.sinks[0]?.description, 'acme');
  });

  test('a source has the options of a log beside its own', () => {
    const source =
      '  users: { connector: acme, url: acme://queue, topic: mine, schema: id STRING NOT NULL, remember: 5 }';
    const { plan, problems } = planned(job(source, '  - connector: console'));
    assert.deepEqual(problems, []);
    const [read] = plan?.sources ?? [];
    assert.equal(read?.topic, 'mine');
    const spec = { connector: 'package', name: 'acme', options: { url: 'acme://queue' } };
    assert.deepEqual(read.feed, { spec, remember: 5 });
  });

  test('the long form is the same', () => {
    const short = planned(job(kafka, '  - { connector: acme, url: acme://x }')).plan;
    const long = planned(job(kafka, '  - { connector: package, name: acme, options: { url: acme://x } }')).plan;
    assert.deepEqual(long, short);
  });

  test('wrong options stand at their place in the file', () => {
    const { problems } = planned(job(kafka, '  - connector: acme\n    url: acme://x\n    size: none\n    sise: 3'));
    assert.deepEqual(
      problems.map(({ line, path }) => [line, path]),
      [
        [10, 'sinks[0].size'],
        [11, 'sinks[0].sise'],
      ],
    );
    assert.match(problems[1]?.hint ?? '', /options here: url, size/);
    assert.match(messages(job(kafka, '  - connector: acme'))[0] ?? '', /url/);
  });

  test('what is not allowed here is refused, and how to allow it is said', () => {
    const { plan, problems } = planned(job(kafka, '  - { connector: queue-of-mine, url: x }'));
    assert.equal(plan, null);
    assert.match(problems[0]?.message ?? '', /the package weir-connector-queue-of-mine is not one that jobs may use/);
    assert.match(problems[0]?.hint ?? '', /WEIR_CONNECTORS=acme,only,queue-of-mine/);
    assert.equal(problems[0]?.line, 8);
    assert.equal(
      planned(job('  users: { connector: queue-of-mine, schema: id INT }', '  - connector: console')).plan,
      null,
    );
    assert.match(planned(job(kafka, '  - { connector: acne, url: x }')).problems[0]?.hint ?? '', /did you mean acme\?/);
  });

  test('a built-in name that is misspelt is no package', () => {
    const [message] = messages(job(kafka, '  - { connector: casandra, keyspace: a, table: b }'));
    assert.match(message ?? '', /sinks\.0\.connector is "casandra"; it takes one of/);
  });

  test('a sink is no source, and output modes are those of the description', () => {
    assert.match(
      messages(job('  users: { connector: only, schema: id INT }', '  - connector: console'))[0] ?? '',
      /the connector only is a sink, and no source/,
    );
    const [refused] = messages(job(kafka, '  - connector: only', 'outputMode: update\n'));
    assert.equal(refused, 'the connector only takes no rows of outputMode: update');
  });
});
