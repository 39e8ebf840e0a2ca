import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { aggregateNames } from './aggregates.ts';
import { generators, timeWindows } from './analyze/calls.ts';
import { functionDoc, functionDocs, functionGroups } from './function-docs.ts';
import { callableNames, functionByName, scalarFunctions } from './functions.ts';
import { functionExamples } from './functions/examples.ts';
import { refusedFunctions } from './functions/refused.ts';
import { problemsOf, valueOf } from './test-query.ts';

/** The value as CAST(… AS STRING) gives it. */
function shown(sql: string): string {
  const value = valueOf(`CAST(${sql} AS STRING)`);
  return value === null ? 'NULL' : String(value);
}

suite('examples', () => {
  for (const { name, group, examples } of functionDocs) {
    for (const [sql, result] of examples) test(`${group} ${name}: ${sql}`, () => assert.equal(shown(sql), result));
  }

  test('every function has one', () => {
    const without = scalarFunctions.filter(({ name }) => (functionExamples.get(name)?.length ?? 0) === 0);
    assert.deepEqual(
      without.map(({ name }) => name),
      [],
    );
    const unknown = [...functionExamples.keys()].filter((name) => functionByName(name)?.name !== name);
    assert.deepEqual(unknown, []);
  });

  test('every example calls the function it stands for', () => {
    for (const [name, examples] of functionExamples) {
      if (!/^[a-z]/.test(name)) continue;
      const names = [name, ...(functionByName(name)?.aliases ?? [])];
      const called = examples.some(([sql]) => names.some((word) => new RegExp(`\\b${word}\\b`, 'i').test(sql)));
      assert.ok(called, name);
    }
  });
});

test('every function says how it is called and what it does', () => {
  for (const { name, group, usage, about } of functionDocs) {
    assert.ok(functionGroups.has(group), `${name} is in the group ${group}`);
    assert.ok(usage.length > 0 && /^\S.*\.$/s.test(about), `${name}: ${about}`);
  }
});

test('every name that can be called is found', () => {
  const others = [...aggregateNames, ...generators.keys(), ...timeWindows, 'row_number', 'lag', 'if', 'typeof'];
  for (const name of [...callableNames(), ...others]) assert.ok(functionDoc(name.toUpperCase()) !== undefined, name);
  assert.equal(functionDoc('no_such_function'), undefined);
});

test('functions that are not offered say what to write instead', () => {
  for (const { names, instead } of refusedFunctions) {
    for (const name of names) {
      const [problem = ''] = problemsOf(`SELECT ${name}('a') AS x FROM t`);
      assert.ok(problem.includes('offered') && problem.includes(instead), problem);
      assert.ok(!callableNames().includes(name), name);
    }
  }
});
