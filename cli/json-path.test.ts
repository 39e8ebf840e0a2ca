import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import { parseJsonPath } from './json-path.ts';

const document = {
  jobs: [
    { row: { name: 'users', state: 'running' }, lag: 3, labels: { team: 'a', 'x.y/z': 'b' } },
    { row: { name: 'sales', state: 'failed' }, lag: 0, labels: {} },
  ],
};
const at = (path: string): readonly unknown[] => parseJsonPath(path)(document);

suite('paths into documents', () => {
  test('members, places, all of them', () => {
    assert.deepEqual(at('{.jobs[*].row.name}'), ['users', 'sales']);
    assert.deepEqual(at('.jobs[0].lag'), [3]);
    assert.deepEqual(at('$.jobs[-1].row'), [{ name: 'sales', state: 'failed' }]);
    assert.deepEqual(at("jobs[0].labels['x.y/z']"), ['b']);
    assert.deepEqual(at('{.jobs[0].labels.*}'), ['a', 'b']);
    assert.deepEqual(at('{}'), [document]);
    assert.deepEqual(at('{.}'), [document]);
  });

  test('what is not there is nothing', () => {
    for (const path of [
      '.nobody',
      '.jobs[7]',
      '.jobs[-7]',
      '.jobs.length',
      '.jobs[0].lag.x',
      '.toString',
      '.jobs[0].row[0]',
    ])
      assert.deepEqual(at(path), [], path);
  });

  test('what is more than a path is refused, with the place', () => {
    for (const path of ['{.jobs[?(@.lag>1)]}', '{range .jobs[*]}{.lag}{end}', '.jobs[', '.a..b'])
      assert.throws(
        () => parseJsonPath(path),
        (error) => isWeirError(error, 'USAGE') && /is not understood at/.test(error.message),
        path,
      );
  });
});
