/** Opens the sinks of a stage by the connectors of the plan. */
import { must } from '../core/assert.ts';
import type { MemoryPool } from '../core/memory-pool.ts';
import type { Connections } from '../core/ports.ts';
import { deadLetterShape } from '../engine/dead-letters.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { JobPlan, LanesPlan, LaneSource, SinkTarget } from '../engine/plan/job-plan.ts';
import type { SinkPlan } from '../engine/plan/stage-plan.ts';
import type { DeadLetterTopic } from './dead-letter-copy.ts';
import { LaneBatches } from './lane-batches.ts';
import { LaneTransactions } from './lane-transactions.ts';
import type { OpenSink } from './sink-set.ts';
import { SinkSet } from './sink-set.ts';

type SourcePlace = Pick<LaneSource, 'connector' | 'options'>;

/**
 * Memory that rows were in goes to `memory` once they are written. Throws: what describing and opening throws:
 * SINK_UNAVAILABLE, SINK_SCHEMA, TOPIC_NOT_FOUND.
 */
export async function openSinks(
  plan: LanesPlan,
  source: LaneSource,
  connections: Connections,
  print: (line: string) => void,
  memory: MemoryPool | null = null,
): Promise<SinkSet> {
  return openAll(plan, source.stage.sinks, source, connections, print, memory);
}

/** The sinks of a job that runs in epochs; copies of its dead letters go to the cluster of its first source. */
export async function openEpochSinks(
  plan: EpochsPlan,
  connections: Connections,
  print: (line: string) => void,
): Promise<SinkSet> {
  const source = must(plan.sources[0], () => `job ${plan.job} has no source`);
  return openAll(plan, plan.sinkPlans, source, connections, print, null);
}

async function openAll(
  plan: JobPlan,
  sinks: readonly SinkPlan[],
  source: SourcePlace,
  connections: Connections,
  print: (line: string) => void,
  memory: MemoryPool | null,
): Promise<SinkSet> {
  const open: OpenSink[] = [];
  for (const [index, sink] of sinks.entries()) {
    const target = must(plan.sinks[index], () => `sink ${index} of job ${plan.job} has no target`);
    open.push(await openSink(plan.job, sink, target, connections, print));
  }
  const deadLetters = await connections.tables('cassandra', {}).open(deadLetterShape);
  return new SinkSet(open, deadLetters, await openDeadLetterTopic(plan.deadLetterTopic, source, connections), memory);
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
  job: string,
  sink: SinkPlan,
  target: SinkTarget,
  connections: Connections,
  print: (line: string) => void,
): Promise<OpenSink> {
  switch (sink.kind) {
    case 'table':
      return {
        kind: 'table',
        name: sink.name,
        writer: await connections.tables(target.connector, target.options).open(sink.shape),
      };
    case 'log': {
      const writer = connections.logWriter(target.connector, target.options);
      return {
        kind: 'log',
        name: sink.name,
        topic: sink.topic,
        writer,
        partitions: await writer.partitionCount(sink.topic),
        transactions:
          sink.transactions === undefined ? null : new LaneTransactions(sink.topic, sink.transactions, writer),
      };
    }
    case 'rows': {
      const { name, connector, format, settings } = sink;
      const opened = await connections.rowSinks(connector).open({ job, name, format, settings });
      return { kind: 'rows', name, sink: opened, batches: new LaneBatches(opened) };
    }
    case 'blackhole':
      return { kind: 'discard', name: sink.name };
    case 'console':
      return { kind: 'console', name: sink.name, print };
  }
}
