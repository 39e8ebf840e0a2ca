import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadJobTest } from './job-test.ts';

const head = 'apiVersion: weir/v1\nkind: JobTest\n';

test('a test file is read with its defaults', () => {
  const { file } = loadJobTest(`${head}tests:\n  - name: a\n    steps:\n      - deadLetters: [{ reason: X }]\n`);
  assert.deepEqual(file?.tests[0]?.steps[0]?.deadLetters, [{ reason: 'X', count: 1 }]);
});

test('a mistake is named with its line, column and path', () => {
  const text = `${head}tests:\n  - name: a\n    steps:\n      - input: { users: 7 }\n`;
  assert.match(loadJobTest(text).problem ?? '', /^6:25: tests\.0\.steps\.0\.input\.users: /);
  assert.match(loadJobTest(`${head}tests: []\n`).problem ?? '', /^3:8: tests: /);
  assert.match(loadJobTest('tests: [').problem ?? '', /^\d+:\d+: /);
});

test('an unknown key is a mistake', () => {
  const text = `${head}tests:\n  - name: a\n    steps:\n      - expected: []\n`;
  assert.match(loadJobTest(text).problem ?? '', /expected/);
});
