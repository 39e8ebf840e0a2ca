import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { rowsWhere } from './rows-where.ts';

suite('rows that a condition is true for', () => {
  const columns = [
    { name: 'id', type: 'STRING' },
    { name: 'the age', type: 'INT' },
    { name: 'seen', type: 'TIMESTAMP' },
    { name: 'tags', type: 'ARRAY<STRING>' },
    { name: 'nothing', type: 'VOID' },
  ];
  const rows = [
    ['a', 31, '2024-05-01T10:00:00.000Z', ['x', 'y'], null],
    ['b', null, null, [], null],
    ['c', 30, '2024-06-01T10:00:00.000Z', ['y'], null],
  ] as const;
  const ids = (condition: string): unknown[] => rowsWhere(columns, rows, condition).map(([id]) => id);

  test('by the rules of SQL: NULL is not true, in the order in which they came', () => {
    assert.deepEqual(ids('`the age` > 30'), ['a']);
    assert.deepEqual(ids('`the age` <= 31'), ['a', 'c']);
    assert.deepEqual(ids('`the age` IS NULL OR id = upper(id)'), ['b']);
    assert.deepEqual(ids("seen >= timestamp '2024-05-15 00:00:00'"), ['c']);
    assert.deepEqual(ids("array_contains(tags, 'y')"), ['a', 'c']);
    assert.deepEqual(rowsWhere(columns, [], '`the age` > 30'), []);
  });

  test('rows come back as they were, also those of tables', () => {
    const types = ['uuid', 'decimal', 'timestamp', 'set<text>'];
    const table = types.map((type, at) => ({ name: `c${at}`, type }));
    const row = ['0a20297c-db3e-49ba-b01e-ce5f9beaf873', '12.50', '2024-05-01T10:00:00.000Z', ['b', 'a']];
    assert.deepEqual(rowsWhere(table, [row], "c0 LIKE '0a2%' AND c1 > 12.4 AND year(c2) = 2024"), [row]);
    assert.deepEqual(rowsWhere(table, [row], 'c1 > 12.6'), []);
  });

  test('a mistake is shown where it is', () => {
    assert.throws(
      () => ids("idd = 'a'"),
      (error) =>
        isWeirError(error, 'SQL_SEMANTIC') && error.message.includes("  idd = 'a'\n  ^^^\n  hint: did you mean id?"),
    );
    assert.throws(
      () => ids('nothere > 1'),
      (error) => isWeirError(error, 'SQL_SEMANTIC') && /hint: the columns are: id, /.test(error.message),
    );
    assert.throws(() => ids('id ='), { code: 'SQL_SEMANTIC' });
    assert.throws(() => ids('id'), { code: 'SQL_SEMANTIC' });
  });
});
