/** Feeds in job files: the examples of the pages, defaults, mistakes. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { planJob } from '../../engine/plan/plan-job.ts';
import { docJobs } from '../../test/support/doc-jobs.ts';
import { feedOf } from './feed-topics.ts';
import { loadJobFile } from './file.ts';

const jobWith = (source: string): string => `
apiVersion: weir/v1
kind: Job
name: j
sources: { s: ${source} }
query: SELECT value FROM s
sinks: [{ connector: console }]
`;

const problemsOf = (text: string): string[] => {
  const { spec, problems } = loadJobFile(text);
  if (spec === null) return problems.map(({ path, message }) => `${path}: ${message}`);
  return planJob(spec, { tables: null }).problems.map(({ path, message }) => `${path}: ${message}`);
};

suite('sources that are no logs', () => {
  for (const [name, text] of docJobs())
    // Pages of other connectors are tested where those are.
    if (/connector: (http|file|websocket|browser|generator)\n/.test(text))
      test(`the example ${name} can be planned`, () => {
        assert.deepEqual(problemsOf(text), []);
      });

  test('there are examples of all five', () => {
    const all = [...docJobs().values()].join('\n');
    for (const connector of ['http', 'file', 'websocket', 'browser', 'generator'])
      assert.match(all, new RegExp(`connector: ${connector}\\n`));
  });

  test('have a topic of their own, and their options in the plan', () => {
    const { spec } = loadJobFile(jobWith('{ connector: http, url: http://a.example/x, format: text, response: text }'));
    assert.equal(spec?.sources['s']?.topic, 'weir.j.s');
    const plan = spec === null ? null : planJob(spec, { tables: null }).plan;
    const [source] = plan?.sources ?? [];
    assert.equal(source?.connector, 'kafka');
    assert.equal(source?.topic, 'weir.j.s');
    assert.deepEqual(source?.startingOffsets, { kind: 'earliest' });
    assert.ok(source?.feed?.spec.connector === 'http');
    assert.equal(source.feed.spec.url, 'http://a.example/x');
    assert.ok(!('topic' in source.feed.spec), 'options of the log are not among those of the feed');
    // The plan is kept as text.
    assert.deepEqual(JSON.parse(JSON.stringify(source.feed)), source.feed);
  });

  test('a topic that is read has no feed', () => {
    const { spec } = loadJobFile(jobWith('{ connector: kafka, topic: t, format: text }'));
    const source = spec?.sources['s'];
    assert.ok(source !== undefined);
    assert.equal(feedOf(source), undefined);
  });

  test('mistakes are named with their place', () => {
    assert.match(
      problemsOf(jobWith('{ connector: http, url: ftp://a/ }')).join(),
      /sources\.s\.url: .*http:\/\/ or https:\/\//,
    );
    assert.match(problemsOf(jobWith('{ connector: http }')).join(), /sources\.s\.url is missing/);
    assert.match(
      problemsOf(jobWith('{ connector: htpp, url: "http://a/" }')).join(),
      /takes one of kafka, generator, http/,
    );
    assert.match(problemsOf(jobWith('{ connector: http, url: "http://a/", evry: 5s }')).join(), /has no option evry/);
    assert.match(
      problemsOf(jobWith('{ connector: generator, fields: {}, format: text }')).join(),
      /at least one field/,
    );
    const page = (extract: string): string =>
      jobWith(`{ connector: browser, url: "http://a/", items: a, schema: title STRING, extract: "${extract}" }`);
    assert.deepEqual(problemsOf(page('(page: Document) => ({ title: page.title });')), []);
    assert.match(
      problemsOf(page('(page: Document) => ({ title: ')).join(),
      /sources\.s\.extract.*extract is no TypeScript function \(.+\); write one such as/,
    );
    for (const [rule, why] of [
      ['{ integer: { min: 9, max: 1 } }', /sources\.s\.fields\.n: min 9 is above max 1/],
      ['{ number: { min: 1.5, max: 1 } }', /sources\.s\.fields\.n: min 1\.5 is above max 1/],
      ['{ oneOf: [] }', /sources\.s\.fields\.n/],
      ['{ time: { start: yesterday } }', /sources\.s\.fields\.n/],
    ] as const)
      assert.match(problemsOf(jobWith(`{ connector: generator, fields: { n: ${rule} } }`)).join(), why);
  });
});
