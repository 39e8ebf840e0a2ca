/** Tables of expressions and their values, for tests. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { problemsOf, readable, valueOf } from './test-query.ts';

/** Expression and value: bigints as '1n', binaries as '0x…', dead letters as their code. */
export type Case = readonly [expression: string, expected: unknown];

/** A test for each expression over one row whose column `one` is 1. */
export function cases(name: string, list: readonly Case[], timeZone = 'UTC'): void {
  void suite(name, () => {
    for (const [expression, expected] of list) {
      void test(expression, () => assert.deepEqual(readable(valueOf(expression, { timeZone })), expected));
    }
  });
}

/** A test for each expression that no query may hold, with a part of what is said about it. */
export function refusals(name: string, list: readonly (readonly [expression: string, said: string])[]): void {
  void suite(name, () => {
    for (const [expression, said] of list) {
      void test(expression, () => {
        const [problem = 'nothing is wrong with it'] = problemsOf(`SELECT ${expression} AS x FROM t`);
        assert.ok(problem.includes(said), problem);
      });
    }
  });
}
