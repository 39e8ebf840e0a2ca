import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerId } from '../../core/ids.ts';
import type { ExchangeMessage } from '../../core/ports.ts';
import { jobText, planOf } from '../../engine/epoch/test-run.ts';
import { KEY_GROUPS } from '../../engine/plan/epoch-plan.ts';
import type { SinkOutput } from '../../engine/stage.ts';
import { batchOf, valuesOf } from '../../test/conformance/source.ts';
import { AssignmentView } from './assignment-view.ts';
import { EpochInbox } from './epoch-inbox.ts';
import { FrameSender } from './frame-sender.ts';
import { appendsOf, framesOf, MappedLogRows } from './log-rows.ts';
import { StageGraph } from './stage-graph.ts';

const plan = planOf(
  jobText(
    'SELECT k, count(*) AS n FROM ev GROUP BY k',
    { ev: 'k STRING' },
    {
      outputMode: 'update',
      sinks: [
        { connector: 'console' },
        { connector: 'kafka', topic: 'often' },
        { connector: 'kafka', topic: 'once', guarantee: 'exactlyOnce' },
      ],
    },
  ),
);
const graph = new StageGraph(plan);
const [mapStage = -1] = graph.mapStages;
const [stateStage = -1] = graph.stateStages;
const [sinkStage] = graph.sinkStages;

/** Worker b has key group 0. */
function viewOf(self: 'a' | 'b' | 'c'): AssignmentView {
  const workers = ['a', 'b', 'c'].map((name) => ({ id: workerId(name), address: name, threads: 2 }));
  const groups = Array.from({ length: KEY_GROUPS }, (_, group) => (group + 1) % 3);
  return new AssignmentView({ version: 1, workers, groups, partitions: {} }, workerId(self));
}

function outputs(...appends: readonly (readonly [partition: number, name: string])[]): SinkOutput[] {
  const log = (some: typeof appends): SinkOutput => ({
    kind: 'log',
    rowCount: some.length,
    appends: some.map(([partition, name]) => ({ partition, batch: batchOf(name, 0, 1) })),
  });
  return [{ kind: 'console', rowCount: 0, text: '' }, log([[0, 'other']]), log(appends)];
}

const key = { job: 'test', run: 1, token: 1, epoch: 0, attempt: 0 };

test('a topic that is written exactly once is a stage behind the one that ends in the sinks', () => {
  assert.deepEqual(graph.sinkStages, [{ stage: plan.stages.length + 2, sink: 2 }]);
  const { stage = -1 } = sinkStage ?? {};
  assert.ok(graph.isSink(stage) && !graph.isSink(stateStage));
  assert.deepEqual(graph.sendersTo(stage), [stateStage]);
  assert.deepEqual(graph.receiversOf(stateStage), [stage]);
  assert.deepEqual(graph.receiversOf(mapStage), [stateStage]);
  // Rows for sinks are no state that others build on: groups can be replayed on their own.
  assert.equal(graph.deep, false);
});

test('rows go to the worker with key group 0 as they are, and come out with their partitions', async () => {
  const sent: (readonly [to: string, message: ExchangeMessage])[] = [];
  const view = viewOf('a');
  assert.deepEqual([viewOf('a').isWriter, viewOf('b').isWriter, viewOf('c').isWriter], [false, true, false]);
  const link = (to: string): ReturnType<ConstructorParameters<typeof FrameSender>[3]> => ({
    send: (message) => {
      sent.push([to, message]);
      return Promise.resolve();
    },
    connect: () => undefined,
    close: () => undefined,
  });
  const { stage = -1 } = sinkStage ?? {};
  const sender = new FrameSender(key, view, new EpochInbox(), link, () => undefined);
  await sender.send(stateStage, 0, framesOf(outputs([2, 'x'], [0, 'y'], [2, 'z']), graph, view));
  await sender.end(stateStage, stage, 'writer');
  assert.ok(sent.every(([to]) => to === 'b'));
  const inbox = new EpochInbox();
  for (const [, message] of sent) inbox.take(message);
  for (const from of [1, 2]) inbox.endOwn(stage, stateStage, from);
  const input = inbox.inputOf(stage, [stateStage], view.workerCount) ?? assert.fail('not whole');
  const appends = appendsOf(input, 'once');
  assert.deepEqual(
    appends.map(({ topic, partition, batch }) => [topic, partition, valuesOf(batch).map(({ value }) => value)]),
    [
      ['once', 0, ['y-0']],
      ['once', 2, ['x-0']],
      ['once', 2, ['z-0']],
    ],
  );
});

test('rows of map tasks are sent in the order of the records, whatever task ends first', async () => {
  const view = viewOf('b');
  const inbox = new EpochInbox();
  const sender = new FrameSender(
    key,
    view,
    inbox,
    () => assert.fail('nothing is for others'),
    () => undefined,
  );
  const rows = new MappedLogRows(graph);
  rows.add(mapStage, 1, 0, outputs([0, 'second-lane']));
  rows.add(mapStage, 0, 70, outputs([0, 'later']));
  rows.add(mapStage, 0, 5, outputs([0, 'sooner']));
  await rows.send(sender, view);
  const { stage = -1 } = sinkStage ?? {};
  for (const from of [0, 1, 2]) inbox.endOwn(stage, mapStage, from);
  const input = inbox.inputOf(stage, [mapStage], view.workerCount) ?? assert.fail('not whole');
  assert.deepEqual(
    appendsOf(input, 'once').map(({ batch }) => valuesOf(batch)[0]?.value),
    ['sooner-0', 'later-0', 'second-lane-0'],
  );
});
