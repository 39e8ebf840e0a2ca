import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expr } from '../../core/ast.ts';
import { compileProgram } from './program.ts';
import { batchOf, rowsOfBatch } from './test-batch.ts';
import type { DataType, Schema } from '../../core/types.ts';
import type { RowFailure } from '../column-batch.ts';

const STRING: DataType = { kind: 'string' };
const INT: DataType = { kind: 'int' };
const BOOLEAN: DataType = { kind: 'boolean' };

const users: Schema = [
  { name: 'id', type: STRING, nullable: false },
  { name: 'last_name', type: STRING, nullable: true },
  { name: 'post_code', type: INT, nullable: true },
];

const column = (index: number): Expr => {
  const field = users[index];
  if (field === undefined) throw new Error('no such column');
  return { kind: 'column', type: field.type, nullable: field.nullable, index, name: field.name };
};
const call = (name: string, type: DataType, nullable: boolean, ...args: Expr[]): Expr => ({
  kind: 'call',
  name,
  type,
  nullable,
  args,
});
const int = (value: number): Expr => ({ kind: 'literal', type: INT, nullable: false, value });

const columns = users.map(({ name, type }) => ({ kind: 'field' as const, name, path: name, type, required: false }));

const rows = [
  ['a', 'müller', 1],
  ['b', 'smith', null],
  ['c', null, 3],
  ['d', 'Jones', 0],
];

test('a filter keeps the rows for which it is true, and a projection passes columns on and computes others', () => {
  const program = compileProgram({
    columns,
    timeZone: 'UTC',
    operators: [
      { kind: 'filter', predicate: call('isnotnull', BOOLEAN, false, column(2)) },
      {
        kind: 'project',
        columns: [
          { name: 'id', type: STRING, nullable: false, expr: column(0) },
          { name: 'upper', type: STRING, nullable: true, expr: call('upper', STRING, true, column(1)) },
          { name: 'big', type: BOOLEAN, nullable: true, expr: call('>', BOOLEAN, true, column(2), int(1)) },
          { name: 'one', type: INT, nullable: false, expr: int(1) },
        ],
      },
    ],
    output: [
      { name: 'id', type: STRING, nullable: false },
      { name: 'upper', type: STRING, nullable: true },
      { name: 'big', type: BOOLEAN, nullable: true },
      { name: 'one', type: INT, nullable: false },
    ],
  });
  const failures: RowFailure[] = [];
  const output = program.run(batchOf(users, rows), failures);
  assert.deepEqual(failures, []);
  assert.deepEqual(rowsOfBatch(program.output, output), [
    ['a', 'MÜLLER', false, 1],
    ['c', null, true, 1],
    ['d', 'JONES', false, 1],
  ]);
  assert.deepEqual([...output.origins.record], [0, 2, 3]);
});

test('a record that fails has no rows and is listed once', () => {
  const divided = call(
    'div',
    { kind: 'bigint' },
    true,
    ...[int(6), column(2)].map((input): Expr => ({
      kind: 'cast',
      type: { kind: 'bigint' },
      nullable: input.nullable,
      input,
      mode: 'ansi',
    })),
  );
  const program = compileProgram({
    columns,
    timeZone: 'UTC',
    operators: [{ kind: 'project', columns: [{ name: 'x', type: { kind: 'bigint' }, nullable: true, expr: divided }] }],
    output: [{ name: 'x', type: { kind: 'bigint' }, nullable: true }],
  });
  const failures: RowFailure[] = [];
  const output = program.run(batchOf(users, rows), failures);
  assert.deepEqual(rowsOfBatch(program.output, output), [[6n], [null], [2n]]);
  assert.deepEqual(failures, [{ record: 3, reason: 12, place: 'x' }]);
});
