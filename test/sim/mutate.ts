/** Carries mutations out where the pretend servers cannot: in what a lane hands to the executor, in the prefix rule. */
import type { LanePosition } from '../../core/lane/position.ts';
import { AcknowledgedPrefix } from '../../core/lane/prefix.ts';
import { must } from '../../core/assert.ts';
import type { Executor, StageTask } from '../../engine/stage.ts';
import { BATCH_STRIDE } from '../../engine/stage.ts';
import type { Mutations } from './mutations.ts';

/** The executor with the write times of its tasks changed as the mutations say. */
export function mutated<E extends Executor>(executor: E, mutations: Mutations): E {
  if (mutations.recordTimesOnly !== true && mutations.runsShareTimes !== true) return executor;
  const run = executor.run.bind(executor);
  executor.run = (id, task) => run(id, { ...task, batches: changedTimes(task, mutations) });
  return executor;
}

function changedTimes(task: StageTask, mutations: Mutations): Float64Array {
  const batches = task.batches.slice();
  for (let at = 0; at < batches.length; at += BATCH_STRIDE) {
    const [, , baseOffset, , maxTimestampMs] = batches.subarray(at, at + BATCH_STRIDE) as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    const phase = 2 * task.partition;
    // Times of the producers; or times that follow the offset and nothing else, the same in every run.
    batches[at + 3] =
      mutations.runsShareTimes === true ? baseOffset * task.stride + phase : Math.max(0, maxTimestampMs) * 1000 + phase;
  }
  return batches;
}

/** Lets lanes commit the furthest position that was acknowledged, whatever lies open below it, until undone. */
export function breakPrefixRule(): () => void {
  const prototype = AcknowledgedPrefix.prototype;
  const open = prototype.open;
  const committable = must(
    Object.getOwnPropertyDescriptor(prototype, 'committable'),
    () => 'the prefix has no committable',
  );
  const furthest = new WeakMap<AcknowledgedPrefix, LanePosition>();
  prototype.open = function (this: AcknowledgedPrefix, end: LanePosition): () => void {
    const acknowledge = open.call(this, end);
    return () => {
      acknowledge();
      const known = furthest.get(this);
      if (known === undefined || known.nextOffset < end.nextOffset) furthest.set(this, end);
    };
  };
  Object.defineProperty(prototype, 'committable', {
    configurable: true,
    get(this: AcknowledgedPrefix): LanePosition {
      return furthest.get(this) ?? (committable.get?.call(this) as LanePosition);
    },
  });
  return () => {
    prototype.open = open;
    Object.defineProperty(prototype, 'committable', committable);
  };
}
