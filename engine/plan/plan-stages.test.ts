import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { must } from '../../core/assert.ts';
import type { Schema } from '../../core/types.ts';
import type { MapStage, OutputMode, StateStage } from './epoch-plan.ts';
import type { LogicalPlan } from './logical-plan.ts';
import { planStages } from './plan-stages.ts';
import type { PlannedStages } from './stage-draft.ts';
import type { InputColumn } from './stage-plan.ts';
import {
  aggregate,
  as,
  assignWindow,
  bigint,
  bigintLiteral,
  call,
  column,
  count,
  dedup,
  field,
  fieldOf,
  filter,
  project,
  sessions,
  source,
  string,
  sum,
  timestamp,
  union,
  watermark,
} from './test-plans.ts';

const columns: Schema = [
  field('id', string, false),
  field('word', string),
  field('n', bigint),
  field('ts', timestamp),
  field('more', string),
];

const events = source('events', columns);

function stages(root: LogicalPlan, outputMode: OutputMode = 'append'): PlannedStages {
  return planStages(root, [], {
    outputMode,
    timeZone: 'UTC',
    columnsOf: () =>
      columns.map(({ name, type, nullable }): InputColumn => ({
        kind: 'field',
        name,
        path: name,
        type,
        required: !nullable,
      })),
    scanOf: (topic) => ({
      topic,
      format: 'json',
      onBadRecord: 'deadLetter',
      onNullValue: 'skip',
      timeZone: 'UTC',
      recordBytesMax: 1 << 20,
      recordDepthMax: 64,
    }),
    refuse: (_, message) => assert.fail(message),
  });
}

function mapAt(planned: PlannedStages, index = 0): MapStage {
  const stage = planned.stages[index];
  assert.ok(stage?.kind === 'map');
  return stage;
}

function stateAt(planned: PlannedStages, index = 1): StateStage {
  const stage = planned.stages[index];
  assert.ok(stage?.kind === 'state');
  return stage;
}

const kinds = (operators: readonly { readonly kind: string }[]): string[] => operators.map(({ kind }) => kind);
const names = (schema: readonly { readonly name: string }[]): string[] => schema.map(({ name }) => name);

suite('a windowed count', () => {
  const windows = assignWindow(watermark(events, 'ts', 10_000_000), 'ts', 5_000_000);
  const counted = aggregate(windows, ['window', 'word'], [count('n')], { time: 'window' });
  const root = project(
    counted,
    as('start', fieldOf(column(counted.output, 'window'), 'start')),
    as('word', column(counted.output, 'word')),
    as('n', column(counted.output, 'n')),
  );

  test('is a map stage with pre-aggregation and a state stage', () => {
    const planned = stages(root);
    assert.equal(planned.stages.length, 2);
    const map = mapAt(planned);
    // id is required: whether a record is good does not depend on the query.
    assert.deepEqual(names(map.scan.columns), ['id', 'word', 'ts']);
    const [branch] = map.branches;
    assert.deepEqual(kinds(branch?.operators ?? []), [
      'watermark',
      'assignWindow',
      'project',
      'late',
      'partialAggregate',
    ]);
    assert.deepEqual(names(branch?.output ?? []), ['window', 'word', 'n.count']);
    assert.deepEqual(branch?.target, { kind: 'exchange', stage: 1, port: 0, keys: [0, 1] });
    const state = stateAt(planned);
    assert.equal(state.operatorId, 'aggregate-1');
    assert.deepEqual(state.inputs, [branch?.output]);
    assert.ok(state.state.kind === 'aggregate');
    assert.deepEqual(state.state.eventTime, { column: 0, kind: 'window' });
    assert.deepEqual(kinds(state.branch.operators), ['project']);
    assert.deepEqual(state.branch.target, { kind: 'sink' });
    assert.deepEqual(names(state.branch.output), ['start', 'word', 'n']);
  });

  test('drops late rows by the end of their window, before they are aggregated', () => {
    const [, , chosen, late] = mapAt(stages(root)).branches[0]?.operators ?? [];
    assert.ok(chosen?.kind === 'project' && late?.kind === 'late');
    assert.deepEqual(names(chosen.columns), ['window', 'word']);
    assert.deepEqual([late.rule, late.column, late.operatorId], ['window', 0, 'aggregate-1']);
  });

  test('reads the columns at their places in the scan', () => {
    const [mark, window, chosen] = mapAt(stages(root)).branches[0]?.operators ?? [];
    assert.ok(mark?.kind === 'watermark' && window?.kind === 'assignWindow' && chosen?.kind === 'project');
    assert.equal(mark.column, 2);
    assert.ok(window.on.kind === 'column' && window.on.index === 2);
    assert.deepEqual(
      chosen.columns.map(({ expr }) => expr.kind === 'column' && expr.index),
      [3, 1],
    );
  });

  test('has one watermark, and evicts in append and update, not in complete', () => {
    const planned = stages(root);
    assert.deepEqual(planned.watermarks, [{ delayUs: 10_000_000, sources: ['events'], description: 'events.ts' }]);
    assert.equal(planned.evicts, true);
    assert.equal(stages(root, 'update').evicts, true);
    const complete = stages(root, 'complete');
    assert.equal(complete.evicts, false);
    assert.ok(
      !kinds(mapAt(complete).branches[0]?.operators ?? []).includes('late'),
      'nothing is late in complete mode',
    );
  });
});

test('equal arguments share a column, and aggregates nobody reads are left out', () => {
  const counted = aggregate(
    events,
    ['word'],
    [
      sum('a', column(columns, 'n')),
      { ...sum('b', column(columns, 'n')), distinct: true },
      sum('unread', call('+', bigint, column(columns, 'n'), bigintLiteral(1))),
    ],
  );
  const planned = stages(
    project(counted, as('a', column(counted.output, 'a')), as('b', column(counted.output, 'b'))),
    'update',
  );
  const [chosen] = mapAt(planned).branches[0]?.operators ?? [];
  assert.ok(chosen?.kind === 'project');
  assert.deepEqual(names(chosen.columns), ['word', 'n']);
  const { state, branch } = stateAt(planned);
  assert.ok(state.kind === 'aggregate');
  assert.deepEqual(
    state.aggregates.map(({ name, inputs, distinct }) => [name, inputs, distinct]),
    [
      ['a', [1], false],
      ['b', [1], true],
    ],
  );
  assert.deepEqual(names(branch.output), ['a', 'b']);
});

test('a session sends rows with their time and gap', () => {
  const planned = stages(
    sessions(watermark(events, 'ts', 1000), ['word'], 'ts', bigintLiteral(10_000_000), [
      sum('s', column(columns, 'n')),
    ]),
  );
  const [branch] = mapAt(planned).branches;
  assert.deepEqual(kinds(branch?.operators ?? []), ['watermark', 'project', 'late']);
  const late = branch?.operators.at(-1);
  assert.ok(late?.kind === 'late');
  assert.deepEqual([late.rule, late.column, late.gap], ['session', 1, 2]);
  assert.deepEqual(names(branch?.output ?? []), ['word', 'time', 'gap', 'n']);
  const { state, branch: after } = stateAt(planned);
  assert.ok(state.kind === 'session');
  assert.deepEqual(state.aggregates[0]?.inputs, [3]);
  assert.deepEqual(names(after.output), ['word', 'session_window', 's']);
});

suite('deduplication', () => {
  test('without event time keeps whole rows of the columns that are read', () => {
    const root = dedup(events, ['word']);
    const planned = stages(project(root, as('n', column(root.output, 'n'))));
    const [branch] = mapAt(planned).branches;
    assert.deepEqual(names(branch?.output ?? []), ['word', 'n']);
    assert.deepEqual(branch?.target, { kind: 'exchange', stage: 1, port: 0, keys: [0] });
    assert.equal(planned.evicts, false);
    const { state } = stateAt(planned);
    assert.ok(state.kind === 'dedup');
    assert.deepEqual(state.keys, [0]);
  });

  test('within the watermark judges rows by their time', () => {
    const input = watermark(events, 'ts', 5000);
    const root = dedup(input, ['id'], { withinWatermark: { column: 3, delayUs: 5000 } });
    const planned = stages(project(root, as('id', column(root.output, 'id'))));
    const late = mapAt(planned).branches[0]?.operators.at(-1);
    assert.ok(late?.kind === 'late');
    assert.deepEqual([late.rule, late.column], ['timestamp', 1]);
    assert.equal(planned.evicts, true);
    const { state } = stateAt(planned);
    assert.ok(state.kind === 'dedup');
    assert.deepEqual(state.withinWatermark, { column: 1, delayUs: 5000 });
  });

  test('drops rows behind the watermark even when the time is no key, if it is carried along', () => {
    const input = watermark(events, 'ts', 5000);
    const root = dedup(input, ['id']);
    assert.ok(kinds(mapAt(stages(root)).branches[0]?.operators ?? []).includes('late'));
    const withoutTime = stages(project(root, as('id', column(root.output, 'id'))));
    assert.ok(!kinds(mapAt(withoutTime).branches[0]?.operators ?? []).includes('late'));
  });
});

suite('joins', () => {
  const left = watermark(events, 'ts', 1000);
  const right = watermark(source('others', columns), 'ts', 2000);
  const output = [...columns, ...columns.map((each) => ({ ...each, name: `r_${each.name}` }))];
  const join: LogicalPlan = {
    kind: 'join',
    id: 'join-1',
    watermarkLagUs: 0,
    type: 'inner',
    left,
    right,
    equi: [{ left: column(columns, 'word'), right: column(output, 'r_word'), nullSafe: false }],
    residual: call('>', { kind: 'boolean' }, column(output, 'n'), column(output, 'r_n')),
    leftTime: { column: 3, kind: 'timestamp' },
    rightTime: { column: 3, kind: 'timestamp' },
    bounds: { left: 3, right: 3, lowerUs: 0, upperUs: 1000 },
    equalTime: false,
    output,
    span: { offset: 0, length: 1 },
  };

  test('send keys, then the columns that are needed of each side', () => {
    const planned = stages(project(join, as('id', column(output, 'id')), as('more', column(output, 'r_more'))));
    const [mine, other] = [mapAt(planned, 0), mapAt(planned, 1)];
    assert.deepEqual([mine.source, other.source], ['events', 'others']);
    assert.deepEqual(names(mine.branches[0]?.output ?? []), ['key1', 'id', 'n', 'ts']);
    assert.deepEqual(names(other.branches[0]?.output ?? []), ['key1', 'n', 'ts', 'more']);
    assert.deepEqual(mine.branches[0]?.target, { kind: 'exchange', stage: 2, port: 0, keys: [0] });
    assert.deepEqual(other.branches[0]?.target, { kind: 'exchange', stage: 2, port: 1, keys: [0] });
    const { state, branch } = stateAt(planned, 2);
    assert.ok(state.kind === 'join');
    assert.deepEqual([state.leftTime?.column, state.rightTime?.column], [2, 1]);
    assert.deepEqual([state.bounds?.left, state.bounds?.right], [2, 1]);
    const read = state.residual?.kind === 'call' ? state.residual.args : [];
    assert.deepEqual(
      read.map((each) => each.kind === 'column' && each.index),
      [1, 3],
    );
    const [chosen] = branch.operators;
    assert.ok(chosen?.kind === 'project');
    assert.deepEqual(
      chosen.columns.map(({ expr }) => expr.kind === 'column' && expr.index),
      [0, 5],
    );
  });

  test('judge each side by its own event time', () => {
    const planned = stages(join);
    for (const place of [0, 1]) {
      const late = mapAt(planned, place).branches[0]?.operators.at(-1);
      assert.ok(late?.kind === 'late');
      const output = mapAt(planned, place).branches[0]?.output ?? [];
      assert.deepEqual([output[late.column]?.name, late.rule], ['ts', 'timestamp']);
    }
    assert.deepEqual(
      planned.watermarks.map(({ sources }) => sources),
      [['events'], ['others']],
    );
  });

  test('by windows judge rows by their window, even where the time is carried along', () => {
    const [mine, others] = [assignWindow(left, 'ts', 10_000), assignWindow(right, 'ts', 10_000)];
    const both = [...mine.output, ...others.output.map((each) => ({ ...each, name: `r_${each.name}` }))];
    const at = mine.output.length - 1;
    const windowed: LogicalPlan = {
      ...join,
      left: mine,
      right: others,
      equi: [
        { left: column(both, 'word'), right: column(both, 'r_word'), nullSafe: false },
        { left: column(both, 'window'), right: column(both, 'r_window'), nullSafe: false },
      ],
      residual: null,
      leftTime: { column: at, kind: 'window' },
      rightTime: { column: at, kind: 'window' },
      bounds: null,
      equalTime: true,
      output: both,
    };
    const planned = stages(windowed);
    for (const place of [0, 1]) {
      const { operators = [], output: sent = [] } = mapAt(planned, place).branches[0] ?? {};
      const late = operators.at(-1);
      assert.ok(late?.kind === 'late' && names(sent).includes('ts'));
      assert.deepEqual([sent[late.column]?.name, late.rule], ['window', 'window']);
    }
  });

  test('of a source with itself scan it once', () => {
    const self: LogicalPlan = {
      ...join,
      right: filter(events, call('isnotnull', { kind: 'boolean' }, column(columns, 'more'))),
    };
    const planned = stages(project({ ...self, rightTime: null, bounds: null }, as('id', column(output, 'id'))));
    assert.equal(planned.stages.length, 2);
    const { branches, scan } = mapAt(planned);
    assert.deepEqual(names(scan.columns), ['id', 'word', 'n', 'ts', 'more']);
    assert.deepEqual(
      branches.map(({ target }) => target.kind === 'exchange' && target.port),
      [0, 1],
    );
  });
});

suite('unions', () => {
  test('of two sources go straight to the sinks', () => {
    const planned = stages(union(events, source('others', columns)));
    assert.deepEqual(kinds(planned.stages), ['map', 'map']);
    for (const place of [0, 1]) {
      assert.deepEqual(mapAt(planned, place).branches[0]?.target, { kind: 'sink' });
      assert.deepEqual(names(mapAt(planned, place).branches[0]?.output ?? []), names(columns));
    }
  });

  test('of two branches of one source meet in one stage', () => {
    const plus = project(events, as('n', call('+', bigint, column(columns, 'n'), bigintLiteral(1))));
    const both = union(project(events, as('n', column(columns, 'n'))), plus);
    const planned = stages(aggregate(both, ['n'], [count('c')]), 'update');
    const { branches } = mapAt(planned);
    assert.equal(branches.length, 2);
    assert.deepEqual(
      branches.map(({ target }) => target),
      Array.from({ length: 2 }, () => ({ kind: 'exchange', stage: 1, port: 0, keys: [0] })),
    );
    for (const branch of branches) assert.deepEqual(kinds(branch.operators), ['project', 'partialAggregate']);
  });

  test('carry the same columns in the same order', () => {
    const other = filter(source('others', columns), call('isnotnull', { kind: 'boolean' }, column(columns, 'more')));
    const both = union(events, other);
    const planned = stages(project(both, as('n', column(columns, 'n'))));
    for (const place of [0, 1]) assert.deepEqual(names(mapAt(planned, place).branches[0]?.output ?? []), ['n']);
  });
});

suite('operators behind operators', () => {
  const windows = assignWindow(watermark(events, 'ts', 1000), 'ts', 5000);
  const inner = aggregate(windows, ['window', 'word'], [count('n')], { time: 'window' });

  test('the inner aggregate gives final groups in append mode', () => {
    const outer = aggregate(inner, ['window'], [count('c')], { id: 'aggregate-2', time: 'window' });
    const planned = stages(outer, 'append');
    const [first, second] = [stateAt(planned, 1), stateAt(planned, 2)];
    assert.ok(first.state.kind === 'aggregate' && second.state.kind === 'aggregate');
    assert.deepEqual([first.state.mode, second.state.mode], ['append', 'append']);
    assert.deepEqual(first.branch.target, { kind: 'exchange', stage: 2, port: 0, keys: [0] });
    assert.deepEqual(second.state.signed, undefined);
  });

  test('in update mode the outer aggregate gets what changes, with rows to take back', () => {
    const outer = aggregate(inner, ['word'], [sum('s', column(inner.output, 'n'))], { id: 'aggregate-2' });
    const planned = stages(outer, 'update');
    const [first, second] = [stateAt(planned, 1), stateAt(planned, 2)];
    assert.ok(first.state.kind === 'aggregate' && second.state.kind === 'aggregate');
    assert.deepEqual([first.state.mode, second.state.mode], ['update', 'update']);
    assert.deepEqual(first.branch.target, { kind: 'exchange', stage: 2, port: 0, keys: [0], changes: true });
    assert.deepEqual(kinds(first.branch.operators), ['project', 'partialAggregate']);
    assert.equal(first.state.signed, undefined);
    assert.equal(second.state.signed, true);
    assert.deepEqual(
      second.state.aggregates.map(({ name, signed }) => [name, signed]),
      [
        ['s', true],
        ['rows', true],
      ],
    );
    assert.deepEqual(names(must(second.inputs[0], () => 'no input')), [
      'word',
      's.sum',
      's.count',
      'rows.count',
      'change',
    ]);
    assert.deepEqual(names(second.branch.output), ['word', 's']);
  });

  test('nothing below a whole result is ever final', () => {
    const outer = aggregate(inner, ['word'], [count('c')], { id: 'aggregate-2' });
    const planned = stages(outer, 'complete');
    const [first, second] = [stateAt(planned, 1), stateAt(planned, 2)];
    assert.ok(first.state.kind === 'aggregate' && second.state.kind === 'aggregate');
    assert.deepEqual([first.state.mode, first.state.eventTime, second.state.mode], ['update', null, 'complete']);
    assert.equal(planned.evicts, false);
  });

  test('every target is a later stage with that port, and every state stage is reached', () => {
    const deduped = dedup(inner, ['word'], { id: 'dedup-1' });
    const planned = stages(aggregate(deduped, ['word'], [count('c')], { id: 'aggregate-2' }), 'update');
    const reached = new Set<number>();
    for (const [index, stage] of planned.stages.entries()) {
      for (const { target, output } of stage.kind === 'map' ? stage.branches : [stage.branch]) {
        if (target.kind === 'sink') continue;
        assert.ok(target.stage > index);
        assert.deepEqual(stateAt(planned, target.stage).inputs[target.port], output);
        reached.add(target.stage);
      }
    }
    assert.deepEqual([...reached], [1, 2, 3]);
  });
});

test('a sort keeps its helper columns to itself', () => {
  const counted = aggregate(events, ['word'], [count('c')]);
  const root: LogicalPlan = {
    kind: 'sort',
    id: 'sort-1',
    watermarkLagUs: 0,
    input: counted,
    by: [{ expr: call('negative', bigint, column(counted.output, 'c')), descending: false, nullsFirst: true }],
    limit: 3,
    output: counted.output,
    span: { offset: 0, length: 1 },
  };
  const planned = stages(root, 'complete');
  const { state, inputs, branch } = stateAt(planned, 2);
  assert.ok(state.kind === 'sort');
  assert.deepEqual(state.by, [{ column: 2, descending: false, nullsFirst: true }]);
  assert.deepEqual(names(must(inputs[0], () => 'no input')), ['word', 'c', 'argument3', 'change']);
  assert.deepEqual(names(branch.output), ['word', 'c']);
  assert.deepEqual(stateAt(planned, 1).branch.target, {
    kind: 'exchange',
    stage: 2,
    port: 0,
    keys: [],
    changes: true,
  });
});
