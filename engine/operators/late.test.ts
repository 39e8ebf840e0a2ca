import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schema } from '../../core/types.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { Late } from './late.ts';
import { runOperator, scopeOf } from './test-epoch.ts';

const schema: Schema = [
  { name: 'id', type: { kind: 'int' }, nullable: false },
  { name: 'ts', type: { kind: 'timestamp' }, nullable: true },
  { name: 'gap', type: { kind: 'bigint' }, nullable: true },
  { name: 'window', type: { kind: 'struct', fields: windowFields }, nullable: true },
];
const columns = { window: 3, timestamp: 1, session: 1 } as const;

function late(rule: keyof typeof columns, lateUs: number, rows: readonly (readonly unknown[])[], lagUs = 0) {
  const epoch = scopeOf({ lateUs });
  const plan = {
    kind: 'late',
    operatorId: 'dedup-1',
    rule,
    column: columns[rule],
    gap: rule === 'session' ? 2 : -1,
    watermarkLagUs: lagUs,
  } as const;
  const ran = runOperator((runtime) => new Late(plan, runtime), { input: schema, output: schema }, rows, epoch);
  return { ids: ran.rows.map(([id]) => id), dropped: epoch.late.get('dedup-1') ?? 0 };
}

test('a time at or below the watermark is late; NULL is not', () => {
  const rows = [
    [1, 9],
    [2, 10],
    [3, 11],
    [4, null],
  ];
  assert.deepEqual(late('timestamp', 10, rows), { ids: [3, 4], dropped: 2 });
  assert.deepEqual(late('timestamp', -Infinity, rows), { ids: [1, 2, 3, 4], dropped: 0 });
});

test('the watermark that an operator sees may lie below the job’s', () => {
  assert.deepEqual(
    late(
      'timestamp',
      10,
      [
        [1, 7],
        [2, 8],
      ],
      3,
    ),
    { ids: [2], dropped: 1 },
  );
});

test('a window is late when its end is at or below the watermark', () => {
  const rows = [
    [1, null, null, [0, 10]],
    [2, null, null, [5, 11]],
    [3, null, null, null],
  ];
  assert.deepEqual(late('window', 10, rows), { ids: [2, 3], dropped: 1 });
});

test('a session is late when time + gap is at or below the watermark; without time or gap there is no session', () => {
  const rows = [
    [1, 5, 5n],
    [2, 5, 6n],
    [3, null, 6n],
    [4, 50, null],
    [5, 50, 0n],
    [6, 50, -1n],
  ];
  assert.deepEqual(late('session', 10, rows), { ids: [2], dropped: 1 });
  assert.deepEqual(late('session', -Infinity, rows), { ids: [1, 2], dropped: 0 });
});
