import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { loadJobFile } from './file.ts';
import { patchJobFile } from './patch.ts';

const file = `# Who looks at what.
apiVersion: weir/v1
kind: Job
name: views
sources:
  # From the web.
  views:
    connector: kafka
    topic: page_views
    schema: page STRING, ms INT
query: |
  SELECT page, ms   -- every line stays
  FROM views
sinks:
  - { connector: cassandra, keyspace: k, table: views, primaryKey: [ page ] }
trigger: 1s
`;

suite('merge patches of job files', () => {
  test('only what is named changes; comments, order and lines of the query stay', () => {
    const patched = patchJobFile(file, { trigger: '5s', sources: { views: { topic: 'views_v2' } } });
    assert.equal(patched, file.replace('trigger: 1s', 'trigger: 5s').replace('page_views', 'views_v2'));
    assert.notEqual(loadJobFile(patched).spec, null);
  });

  test('null takes away, a list is replaced, what was not there is added', () => {
    const patched = patchJobFile(file, { trigger: null, labels: { team: 'web', none: null }, sinks: [] });
    const value = parse(patched) as Readonly<Record<string, unknown>>;
    assert.equal('trigger' in value, false);
    assert.deepEqual(value['labels'], { team: 'web' });
    assert.deepEqual(value['sinks'], []);
    assert.match(patched, /^# Who looks at what\.\n/);
  });

  test('JSON is patched too', () => {
    const patched = patchJobFile(JSON.stringify(parse(file)), { onBadRecord: 'skip' });
    assert.equal(loadJobFile(patched).spec?.onBadRecord, 'skip');
  });

  test('with anchors the values are right in every place', () => {
    const text = 'a: &x { n: 1 }\nb: *x\n';
    assert.deepEqual(parse(patchJobFile(text, { b: { n: 2 } })), { a: { n: 1 }, b: { n: 2 } });
  });

  test('a file that is none stays as it is', () => {
    for (const text of ['a: [', '- 1\n', '']) assert.equal(patchJobFile(text, { a: 1 }), text);
  });

  test('the value is what RFC 7396 says', () => {
    const key = fc.constantFrom('a', 'b', 'c', '__proto__');
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.integer(),
        fc.boolean(),
        fc.constantFrom('', 'x', '1'),
        fc.array(fc.integer(), { maxLength: 2 }),
        tie('object'),
      ),
      object: fc
        .array(fc.tuple(key, fc.oneof(fc.constant(null), tie('value'))), { maxLength: 3 })
        .map((entries) => Object.fromEntries(entries)),
    })).object as fc.Arbitrary<Record<string, unknown>>;
    const isObject = (value: unknown): value is Record<string, unknown> =>
      typeof value === 'object' && value !== null && !Array.isArray(value);
    const expected = (target: unknown, patch: unknown): unknown => {
      if (!isObject(patch)) return patch;
      const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
      if (isObject(target)) for (const name of Object.keys(target)) result[name] = target[name];
      for (const name of Object.keys(patch)) {
        if (patch[name] === null) delete result[name];
        else result[name] = expected(result[name], patch[name]);
      }
      return result;
    };
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const got: unknown = parse(patchJobFile(stringify(target), patch));
        assert.equal(JSON.stringify(sorted(got)), JSON.stringify(sorted(expected(target, patch))));
      }),
    );
  });
});

/** Keys in order, since a merge says nothing about it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, sorted(inner)]);
}
