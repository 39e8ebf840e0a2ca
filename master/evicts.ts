/** Whether some operator of a job forgets or emits by the watermark: then an empty epoch has work to do when it moves. */
import { unreachable } from '../core/assert.ts';
import type { EpochsPlan, StatePlan } from '../engine/plan/epoch-plan.ts';

export function evictsByWatermark(plan: EpochsPlan): boolean {
  return plan.stages.some((stage) => stage.kind === 'state' && evicts(stage.state));
}

/** Whether time alone may have work to do in a job: timers by the clock. */
export function runsByTheClock(plan: EpochsPlan): boolean {
  return plan.stages.some(
    (stage) => stage.kind === 'state' && stage.state.kind === 'user' && stage.state.timers === 'processingTime',
  );
}

/** Complete mode keeps everything, so nothing changes with the watermark. */
function evicts(state: StatePlan): boolean {
  switch (state.kind) {
    case 'aggregate':
    case 'rank':
      return state.eventTime !== null && state.mode !== 'complete';
    case 'session':
      return state.mode !== 'complete';
    case 'dedup':
      return state.eventTime !== null || state.withinWatermark !== null;
    case 'join':
      return state.leftTime !== null || state.rightTime !== null || state.bounds !== null;
    case 'user':
      return state.timers === 'eventTime';
    case 'limit':
    case 'sort':
      return false;
    default:
      return unreachable(state);
  }
}
