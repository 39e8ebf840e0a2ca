/**
 * The code of a compute thread: keeps compiled stages and the hosts of epochs, and runs tasks on them. Loaded by Piscina.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { isWeirError, messageOf, WeirError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ModuleSource } from '../core/job/user-functions.ts';
import type {
  EpochHost,
  Frame,
  GroupState,
  MapResult,
  MapTask,
  ReduceResult,
  ReduceTask,
  TaskResult,
} from '../engine/epoch/contract.ts';
import { compileHost } from '../engine/epoch/host.ts';
import type { HostOptions } from '../engine/epoch/host.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { StagePlan } from '../engine/plan/stage-plan.ts';
import { compileStage } from '../engine/run-stage.ts';
import type { CompiledStage } from '../engine/run-stage.ts';
import type { StageResult, StageTask } from '../engine/stage.ts';
import type { BatchCall } from './for-each-batch/run-batch.ts';
import { loadJob, loadModule } from './load-module.ts';

export type ThreadRequest =
  | { readonly kind: 'add'; readonly stageId: string; readonly plan: StagePlan }
  | { readonly kind: 'remove'; readonly stageId: string }
  | { readonly kind: 'run'; readonly stageId: string; readonly task: StageTask }
  | {
      readonly kind: 'openEpochs';
      readonly key: string;
      readonly plan: EpochsPlan;
      readonly options: Omit<HostOptions, 'functions'>;
    }
  | { readonly kind: 'loadJob'; readonly module: ModuleSource }
  | { readonly kind: 'batch'; readonly call: BatchCall }
  | { readonly kind: 'closeEpochs'; readonly key: string }
  | { readonly kind: 'map'; readonly key: string; readonly task: MapTask }
  | { readonly kind: 'reduce'; readonly key: string; readonly task: ReduceTask }
  | { readonly kind: 'mapAgain'; readonly key: string; readonly tasks: readonly MapTask[] }
  | { readonly kind: 'replay'; readonly key: string; readonly tasks: readonly ReduceTask[] }
  | { readonly kind: 'takeChanged'; readonly key: string; readonly all: boolean }
  | { readonly kind: 'restore'; readonly key: string; readonly states: readonly GroupState[] }
  | { readonly kind: 'drop'; readonly key: string; readonly groups: readonly number[] }
  | {
      readonly kind: 'setStatic';
      readonly key: string;
      readonly name: string;
      readonly rows: readonly (readonly unknown[])[];
    };

/** Errors cross the thread boundary as data: a clone of an Error keeps neither its class nor its code. */
export type ThreadReply =
  | { readonly kind: 'done' }
  /** `spent`: the memory of the task's bytes, to be used again. */
  | { readonly kind: 'result'; readonly result: StageResult; readonly spent: ArrayBuffer }
  | { readonly kind: 'mapped'; readonly result: MapResult; readonly spent: readonly ArrayBuffer[] }
  | { readonly kind: 'reduced'; readonly result: ReduceResult }
  | { readonly kind: 'frames'; readonly frames: readonly (readonly Frame[])[] }
  | { readonly kind: 'states'; readonly states: GroupState[] }
  | {
      readonly kind: 'error';
      readonly code: ErrorCode | null;
      readonly name: string;
      readonly message: string;
      readonly stack: string;
      readonly facts: Readonly<Record<string, string | number | boolean | null>>;
    };

const stages = new Map<string, CompiledStage>();
const hosts = new Map<string, EpochHost>();

export default function handle(request: ThreadRequest): unknown {
  try {
    const reply = answer(request);
    return reply instanceof Promise ? reply.catch(errorReply) : reply;
  } catch (error) {
    return errorReply(error);
  }
}

function errorReply(error: unknown): ThreadReply {
  return {
    kind: 'error',
    code: isWeirError(error) ? error.code : null,
    name: error instanceof Error ? error.name : 'Error',
    message: messageOf(error),
    stack: error instanceof Error ? (error.stack ?? '') : '',
    facts: isWeirError(error) ? error.facts : {},
  };
}

const DONE: ThreadReply = { kind: 'done' };

function answer(request: ThreadRequest): unknown {
  switch (request.kind) {
    case 'add':
      stages.set(request.stageId, compileStage(request.plan));
      return DONE;
    case 'remove':
      stages.delete(request.stageId);
      return DONE;
    case 'run': {
      const stage = stages.get(request.stageId);
      if (stage === undefined) throw new WeirError('NOT_FOUND', `there is no stage ${request.stageId} in this thread`);
      const result = stage.run(request.task);
      const spent = request.task.bytes.buffer as ArrayBuffer;
      return moved({ kind: 'result', result, spent }, [...buffersOf(result), spent]);
    }
    case 'openEpochs':
      return openEpochs(request);
    case 'loadJob':
      return loadJob(request.module).then(() => DONE);
    case 'batch':
      return import('./for-each-batch/run-batch.ts').then(({ runBatch }) => runBatch(request.call)).then(() => DONE);
    case 'closeEpochs':
      hosts.delete(request.key);
      return DONE;
    case 'map': {
      const { task } = request;
      const result = hostOf(request.key).map(task);
      const spent = [task, ...(task.more ?? [])].map(({ bytes }) => bytes.buffer as ArrayBuffer);
      return moved({ kind: 'mapped', result, spent }, [...buffersOf(result, result.frames), ...spent]);
    }
    case 'reduce': {
      const result = hostOf(request.key).reduce(request.task);
      return moved({ kind: 'reduced', result }, buffersOf(result, result.frames));
    }
    case 'mapAgain': {
      const host = hostOf(request.key);
      return movedFrames(request.tasks.map((task) => host.map(task).frames));
    }
    case 'replay': {
      const host = hostOf(request.key);
      return movedFrames(request.tasks.map((task) => host.replay(task)));
    }
    case 'takeChanged': {
      const states = hostOf(request.key).takeChanged(request.all);
      const buffers = states.flatMap(({ bytes }) => (bytes?.buffer instanceof ArrayBuffer ? [bytes.buffer] : []));
      return moved({ kind: 'states', states }, [...new Set(buffers)]);
    }
    case 'restore': {
      const host = hostOf(request.key);
      for (const state of request.states) host.restore(state);
      return DONE;
    }
    case 'drop':
      hostOf(request.key).drop(request.groups);
      return DONE;
    case 'setStatic':
      hostOf(request.key).setStatic(request.name, request.rows);
      return DONE;
  }
}

function openEpochs({ key, plan, options }: Extract<ThreadRequest, { kind: 'openEpochs' }>): unknown {
  if (plan.module === undefined || options.mapOnly === true) {
    hosts.set(key, compileHost(plan, options));
    return DONE;
  }
  return loadModule(plan.module).then((functions) => {
    hosts.set(key, compileHost(plan, { ...options, functions }));
    return DONE;
  });
}

function hostOf(key: string): EpochHost {
  const host = hosts.get(key);
  if (host === undefined) throw new WeirError('NOT_FOUND', `the epochs of ${key} are not open in this thread`);
  return host;
}

/** Memory of the result's bytes, each once: all of it is the result's own. */
function buffersOf(
  result: Pick<StageResult | TaskResult, 'deadLetters' | 'sinks'>,
  frames: TaskResult['frames'] = [],
): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const add = (bytes: Uint8Array): void => {
    if (bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  };
  add(result.deadLetters.bytes);
  for (const sink of result.sinks) {
    if (sink.kind === 'table') add(sink.bytes);
    if (sink.kind === 'log') {
      for (const { batch } of sink.appends) add(batch);
      if (sink.memory !== undefined) buffers.add(sink.memory);
    }
    if (sink.kind === 'rows') for (const { bytes } of sink.parts) add(bytes);
  }
  for (const { bytes } of frames) add(bytes);
  return [...buffers];
}

function movedFrames(frames: readonly (readonly Frame[])[]): unknown {
  const buffers = new Set<ArrayBuffer>();
  for (const { bytes } of frames.flat()) if (bytes.buffer instanceof ArrayBuffer) buffers.add(bytes.buffer);
  return moved({ kind: 'frames', frames }, [...buffers]);
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
