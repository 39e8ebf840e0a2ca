/** The code of a compute thread: keeps compiled stages and runs tasks on them. Loaded by Piscina. */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { isWeirError, messageOf, WeirError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { CompiledStage } from '../engine/run-stage.ts';
import type { StageResult, StageTask } from '../engine/stage.ts';

export type ThreadRequest =
  | { readonly kind: 'add'; readonly stageId: string; readonly plan: StagePlan }
  | { readonly kind: 'remove'; readonly stageId: string }
  | { readonly kind: 'run'; readonly stageId: string; readonly task: StageTask };

/** Errors cross the thread boundary as data: a clone of an Error keeps neither its class nor its code. */
export type ThreadReply =
  | { readonly kind: 'done' }
  | { readonly kind: 'result'; readonly result: StageResult }
  | {
      readonly kind: 'error';
      readonly code: ErrorCode | null;
      readonly name: string;
      readonly message: string;
      readonly stack: string;
      readonly facts: Readonly<Record<string, string | number | boolean | null>>;
    };

const stages = new Map<string, CompiledStage>();

export default function handle(request: ThreadRequest): unknown {
  try {
    switch (request.kind) {
      case 'add':
        stages.set(request.stageId, compileStage(request.plan));
        return { kind: 'done' } satisfies ThreadReply;
      case 'remove':
        stages.delete(request.stageId);
        return { kind: 'done' } satisfies ThreadReply;
      case 'run': {
        const stage = stages.get(request.stageId);
        if (stage === undefined)
          throw new WeirError('NOT_FOUND', `there is no stage ${request.stageId} in this thread`);
        const result = stage.run(request.task);
        return moved({ kind: 'result', result }, buffersOf(result));
      }
    }
  } catch (error) {
    return {
      kind: 'error',
      code: isWeirError(error) ? error.code : null,
      name: error instanceof Error ? error.name : 'Error',
      message: messageOf(error),
      stack: error instanceof Error ? (error.stack ?? '') : '',
      facts: isWeirError(error) ? error.facts : {},
    } satisfies ThreadReply;
  }
}

/** Memory of the result's bytes, each once: all of it is the result's own. */
function buffersOf(result: StageResult): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const add = (bytes: Uint8Array): void => {
    if (bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  };
  add(result.deadLetters.bytes);
  for (const sink of result.sinks) {
    if (sink.kind === 'table') add(sink.bytes);
    if (sink.kind === 'log') for (const { batch } of sink.appends) add(batch);
  }
  return [...buffers];
}

/** Without this, Piscina would clone the reply. With several buffers, the list has to be given by its symbols. */
function moved(reply: ThreadReply, buffers: readonly ArrayBuffer[]): unknown {
  return move({
    get [transferableSymbol]() {
      return buffers;
    },
    get [valueSymbol]() {
      return reply;
    },
  });
}
