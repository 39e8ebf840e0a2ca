import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadJobTest } from '../../core/job/job-test.ts';
import { observedRows } from './run-job-test.ts';
import { withExpectations } from './update-job-test.ts';

const text = `apiVersion: weir/v1
kind: JobTest
# What the two of them owe.
tests:
  - name: first
    steps:
      - input: { views: [{ page: /, ms: 1 }] }
        expect: [] # nothing yet
  - name: second
    columns: [page, n]
    steps:
      - input:
          views:
            - { page: /a, ms: 1 } # a comment
        expect:
          - { page: /a, n: 7 }
        late: 1
      - restart: true
        expect: []
`;

suite('test --update', () => {
  const { file } = loadJobTest(text);
  const second = file?.tests[1];
  if (second === undefined) throw new Error('the file has two tests');

  test('rewrites what is expected and nothing else', () => {
    const [one = {}, two = {}] = second.steps;
    const rows = [
      { page: '/a', n: 1 },
      { page: '/b: c', n: null },
    ];
    const updated = withExpectations(text, new Map([[1, [{ ...one, expect: rows, late: 0 }, two]]]));
    assert.equal(
      updated,
      text
        .replace(
          '          - { page: /a, n: 7 }\n',
          '          - { page: /a, n: 1 }\n          - { page: "/b: c", n: null }\n',
        )
        .replace('late: 1', 'late: 0'),
    );
    const again = loadJobTest(updated).file?.tests[1]?.steps[0];
    assert.deepEqual(again?.expect, rows);
  });

  test('what is the same stays as it is written', () => {
    assert.equal(withExpectations(text, new Map([[1, second.steps]])), text);
  });

  test('a step that expects nothing gets what came, however it is written', () => {
    const bare = text.replace(
      '      - restart: true\n        expect: []\n',
      '      - restart: true\n      - {}\n      - { restart: true }\n',
    );
    const expect = [{ page: '/', n: 1 }];
    const updated = withExpectations(bare, new Map([[1, [{}, { expect }, { expect }, { expect: [] }]]]));
    const added = [
      '      - restart: true',
      '        expect:',
      '          - { page: /, n: 1 }',
      '      - { expect: [ { page: /, n: 1 } ] }',
      '      - { restart: true, expect: [] }',
    ];
    assert.equal(updated.slice(updated.indexOf('        late: 1\n')), `        late: 1\n${added.join('\n')}\n`);
  });

  test('rows are those columns that the test compares; of a test that names none, all', () => {
    const emitted = [
      { epoch: 0, row: { page: '/', n: 1, at: '2024-05-01 10:00:00Z' } },
      { epoch: 1, row: { page: '/', n: 2, at: '2024-05-01 10:00:00Z' } },
    ];
    assert.deepEqual(observedRows(second, emitted, 'update'), [
      { page: '/', n: 1 },
      { page: '/', n: 2 },
    ]);
    const bare = { name: 'bare', steps: [{}] };
    assert.deepEqual(observedRows(bare, emitted, 'complete'), [{ page: '/', n: 2, at: '2024-05-01T10:00:00.000Z' }]);
  });
});
