import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataType, Schema } from '../../core/types.ts';
import type { StageOperator } from '../plan/stage-plan.ts';
import type { AggregatePlan } from '../plan/epoch-plan.ts';
import { windowFields } from '../plan/logical-plan.ts';
import { bufferSchemaOf } from '../sql/aggregates.ts';
import { FailureLog } from './operator.ts';
import type { EpochScope } from './operator.ts';
import { PaneAggregate } from './pane-aggregate.ts';
import { PartialAggregate } from './partial-aggregate.ts';
import { compileProgram } from './program.ts';
import { batchOf, rowsOfBatch } from './test-batch.ts';

const INT: DataType = { kind: 'int' };
const TIME: DataType = { kind: 'timestamp' };
const WINDOW: DataType = { kind: 'struct', fields: windowFields };
const SIZE = 10;
const SLIDE = 2;

const input: Schema = [
  { name: 'ts', type: TIME, nullable: true },
  { name: 'k', type: INT, nullable: true },
];
const columns = input.map(({ name, type }) => ({ kind: 'field' as const, name, path: name, type, required: false }));
const aggregates: readonly AggregatePlan[] = [call('count', [], { kind: 'bigint' }), call('max', [1], INT)];
const keys: Schema = [{ name: 'w', type: WINDOW, nullable: false }];
const output: Schema = [...keys, ...bufferSchemaOf(aggregates)];

function call(name: string, inputs: readonly number[], type: DataType): AggregatePlan {
  return {
    function: name,
    distinct: false,
    inputs,
    inputTypes: inputs.map(() => INT),
    filter: -1,
    name,
    type,
    nullable: true,
  };
}

/** The operators up to the aggregate. */
function operators(isPaned: boolean): readonly StageOperator[] {
  const on = { kind: 'column', index: 0, name: 'ts', type: TIME, nullable: true } as const;
  const window = { kind: 'column', index: 2, name: 'window', type: WINDOW, nullable: false } as const;
  const k = { kind: 'column', index: 1, name: 'k', type: INT, nullable: true } as const;
  const late = {
    kind: 'late',
    operatorId: 'aggregate-1',
    rule: 'window',
    column: 0,
    gap: -1,
    watermarkLagUs: 3,
  } as const;
  const windows = { kind: 'assignWindow', on, sizeUs: SIZE, slideUs: SLIDE, startUs: 1 } as const;
  return [
    isPaned ? { ...windows, panes: true } : windows,
    {
      kind: 'project',
      columns: [
        { name: 'w', type: WINDOW, nullable: false, expr: window },
        { name: 'k', type: INT, nullable: true, expr: k },
      ],
    },
    isPaned ? { ...late, panes: { sizeUs: SIZE, slideUs: SLIDE } } : late,
  ];
}

type Given = readonly (readonly [ts: number | null, k: number | null])[];

/** What comes of batches, and what was late. */
function addedUp(isPaned: boolean, batches: readonly Given[], lateUs: number) {
  const middle: Schema = [...keys, { name: 'k', type: INT, nullable: true }];
  const program = compileProgram({ columns, operators: operators(isPaned), output: middle, timeZone: 'UTC' });
  const plan = { kind: 'partialAggregate', keyCount: 1, aggregates } as const;
  const sums = isPaned
    ? new PaneAggregate({ ...plan, panes: { column: 0, sizeUs: SIZE, slideUs: SLIDE, watermarkLagUs: 3 } }, output)
    : new PartialAggregate(plan, output);
  const late = new Map<string, number>();
  const lateRecords = new Map<number, string>();
  const scope: EpochScope = {
    lateUs,
    evictUs: lateUs,
    eventTimes: new Float64Array(0),
    late,
    lateRecords,
    statics: new Map(),
  };
  const results = [0, 1].map(() => {
    sums.begin();
    for (const rows of batches) sums.add(program.runRows(batchOf(input, rows), [], scope), new FailureLog([]));
    return rowsOfBatch(output, sums.finish(lateUs));
  });
  // The memory of the first time is used again.
  assert.deepEqual(results[1], results[0]);
  const sorted = (results[0] ?? []).map((row) =>
    JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  );
  return { rows: sorted.toSorted(), late: [...late], lateRecords: [...lateRecords].toSorted(([a], [b]) => a - b) };
}

test('a row of a pane counts in every window over it that is not late', () => {
  const { rows, late } = addedUp(true, [[[12, 7]]], 16);
  // Windows begin at odd times; with a lag of 3 those that end by 13 are late.
  assert.deepEqual(rows, [5, 7, 9, 11].map((start) => `[[${start},${start + SIZE}],"1",7]`).toSorted());
  assert.deepEqual(late, [['aggregate-1', 2]]);
});

test('property: windows made of panes are the windows, and as much is late', () => {
  const row = fc.tuple(
    fc.option(fc.integer({ min: -30, max: 60 }), { freq: 9 }),
    fc.option(fc.integer({ min: 0, max: 9 }), { freq: 9 }),
  );
  const lateUs = fc.oneof(fc.constant(-Infinity), fc.integer({ min: -40, max: 80 }));
  fc.assert(
    fc.property(fc.array(fc.array(row, { maxLength: 12 }), { maxLength: 3 }), lateUs, (batches, late) => {
      assert.deepEqual(addedUp(true, batches, late), addedUp(false, batches, late));
    }),
    { numRuns: 500 },
  );
});
