/** Expressions that Spark has evaluated: types, values as texts, and which of them fail. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { analyze, runQuery } from './test-query.ts';

interface SparkExpressions {
  readonly values: readonly (readonly [expression: string, type: string, value: string | null])[];
  readonly failing: readonly string[];
}

const known = JSON.parse(readFileSync(new URL('spark-expressions.json', import.meta.url), 'utf8')) as SparkExpressions;
const setup = { timeZone: 'America/Los_Angeles' };

void suite('expressions as Spark evaluates them', () => {
  for (const [expression, type, value] of known.values)
    void test(expression, () => {
      const query = `SELECT CAST((${expression}) AS STRING) AS value, typeof(${expression}) AS type FROM t`;
      const { rows, failures } = runQuery(query, [[1]], setup);
      assert.deepEqual({ failures, rows }, { failures: [], rows: [[value, type]] });
    });

  for (const expression of known.failing)
    void test(`${expression} fails`, () => {
      const query = `SELECT CAST((${expression}) AS STRING) AS value FROM t`;
      if (analyze(query, setup).problems.length > 0) return;
      const { rows, failures } = runQuery(query, [[1]], setup);
      assert.deepEqual({ rows, failed: failures.length }, { rows: [], failed: 1 });
    });
});
