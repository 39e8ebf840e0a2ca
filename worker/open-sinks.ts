/** Opens the sinks of a stage by the connectors of the plan. */
import { must } from '../core/assert.ts';
import type { Clock, Rng } from '../core/clock.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import type { Connections, Failpoints, TableWriter } from '../core/ports.ts';
import type { BuryRows } from '../core/row-sink.ts';
import { deadLetterShape } from '../engine/dead-letters.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { JobPlan, LanesPlan, LaneSource, SinkTarget } from '../engine/plan/job-plan.ts';
import type { SinkPlan } from '../engine/plan/stage-plan.ts';
import type { DeadLetterTopic } from './dead-letter-copy.ts';
import type { FunctionSink } from './for-each-batch/function-sink.ts';
import { LaneBatches } from './lane-batches.ts';
import { LaneTransactions } from './lane-transactions.ts';
import type { OpenSink } from './sink-set.ts';
import { SinkSet } from './sink-set.ts';

type SourcePlace = Pick<LaneSource, 'connector' | 'options'>;

/** What the writers of transactions need of a job that runs in epochs. */
export interface EpochSinkParts {
  readonly rng: Rng;
  readonly failpoints: Failpoints;
  /** When the job was first submitted, ms. Asked only where a topic is written exactly once. Throws: STORE_UNAVAILABLE. */
  readonly submittedAt: () => Promise<number>;
}

/**
 * Memory that rows were in goes to `memory` once they are written. Throws: what describing and opening throws:
 * SINK_UNAVAILABLE, SINK_SCHEMA, TOPIC_NOT_FOUND.
 */
export async function openSinks(
  plan: LanesPlan,
  source: LaneSource,
  connections: Connections,
  clock: Clock,
  print: (line: string) => void,
  memory: MemoryPool | null = null,
): Promise<SinkSet> {
  return openAll(plan, source.stage.sinks, source, { connections, clock, print, memory, epochs: null });
}

/** The sinks of a job that runs in epochs; copies of its dead letters go to the cluster of its first source. */
export async function openEpochSinks(
  plan: EpochsPlan,
  connections: Connections,
  clock: Clock,
  print: (line: string) => void,
  epochs: EpochSinkParts,
): Promise<SinkSet> {
  const source = must(plan.sources[0], () => `job ${plan.job} has no source`);
  return openAll(plan, plan.sinkPlans, source, { connections, clock, print, memory: null, epochs });
}

interface OpenParts {
  readonly connections: Connections;
  readonly clock: Clock;
  readonly print: (line: string) => void;
  readonly memory: MemoryPool | null;
  /** null = the job runs as lanes. */
  readonly epochs: EpochSinkParts | null;
}

async function openAll(
  plan: JobPlan,
  sinks: readonly SinkPlan[],
  source: SourcePlace,
  parts: OpenParts,
): Promise<SinkSet> {
  const { connections, clock, memory } = parts;
  const deadLetters = await connections.tables('cassandra', {}).open(deadLetterShape);
  try {
    const open: OpenSink[] = [];
    for (const [index, sink] of sinks.entries()) {
      const target = must(plan.sinks[index], () => `sink ${index} of job ${plan.job} has no target`);
      open.push(await openSink(plan, sink, target, deadLetters, parts));
    }
    const deadLetterTopic = await openDeadLetterTopic(plan.deadLetterTopic, source, connections);
    return new SinkSet(open, deadLetters, deadLetterTopic, clock, memory);
  } catch (error) {
    await deadLetters.close();
    throw error;
  }
}

/** Beside the source's topic: the copy of a record stays in the cluster the record came from. */
async function openDeadLetterTopic(
  topic: string | null,
  source: SourcePlace,
  connections: Connections,
): Promise<DeadLetterTopic | null> {
  if (topic === null) return null;
  const writer = connections.logWriter(source.connector, source.options);
  return { topic, writer, partitions: await writer.partitionCount(topic) };
}

async function openSink(
  plan: JobPlan,
  sink: SinkPlan,
  target: SinkTarget,
  deadLetters: TableWriter,
  { connections, clock, print, epochs }: OpenParts,
): Promise<OpenSink> {
  const { job } = plan;
  switch (sink.kind) {
    case 'table':
      return {
        kind: 'table',
        name: sink.name,
        writer: await connections.tables(target.connector, target.options).open(sink.shape),
      };
    case 'log': {
      const { name, topic, transactions: settings } = sink;
      const writer = connections.logWriter(target.connector, target.options);
      const partitions = await writer.partitionCount(topic);
      if (settings !== undefined && epochs !== null) {
        const { rng, failpoints } = epochs;
        const submittedAt = await epochs.submittedAt();
        const { EpochTransactions } = await import('./epoch-transactions.ts');
        const transactions = new EpochTransactions({
          job,
          topic,
          submittedAt,
          settings,
          writer,
          failpoints,
          clock,
          rng,
        });
        return { kind: 'epochLog', name, partitions, transactions };
      }
      if (settings !== undefined) {
        const transactions = new LaneTransactions(topic, settings, writer);
        return { kind: 'laneLog', name, topic, partitions, transactions };
      }
      const { GatheredAppends } = await import('./gathered-appends.ts');
      return { kind: 'log', name, topic, partitions, appends: new GatheredAppends(writer, clock) };
    }
    case 'rows': {
      const { name, connector, format, settings } = sink;
      if (connector === 'forEachBatch') {
        const called = await functionSink(plan, sink, clock, epochs);
        return { kind: 'rows', name, sink: called, batches: new LaneBatches(called) };
      }
      const bury: BuryRows = async (run, rows, permit) => {
        const { encodeRefusedLetters } = await import('./refused-letters.ts');
        const timeUs = clock.now() * 1000;
        return await deadLetters.write(encodeRefusedLetters({ job, run, sink: name, timeUs, rows }), permit);
      };
      const opened = await connections.rowSinks(connector).open({ job, name, format, settings, bury });
      return { kind: 'rows', name, sink: opened, batches: new LaneBatches(opened) };
    }
    case 'keys':
    case 'blackhole':
      return { kind: 'discard', name: sink.name };
    case 'console':
      return { kind: 'console', name: sink.name, print };
  }
}

/** The code of a job is opened by the worker itself: it is no connector, and may run nowhere else. */
async function functionSink(
  plan: JobPlan,
  { format, settings }: Extract<SinkPlan, { kind: 'rows' }>,
  clock: Clock,
  epochs: EpochSinkParts | null,
): Promise<FunctionSink> {
  const { FunctionSink } = await import('./for-each-batch/function-sink.ts');
  const module = plan.protocol === 'epochs' ? plan.sinkModule : undefined;
  return new FunctionSink({
    job: plan.job,
    module: must(module, () => `job ${plan.job} has no module for its functions`),
    sink: Number(settings['sink']),
    columns: format.columns.map(({ name, from }) => ({ name, type: from })),
    timeoutMs: Number(settings['timeoutMs']),
    retries: Number(settings['retries']),
    clock,
    rng: must(epochs, () => 'functions are called by epochs').rng,
  });
}
