/** What is open on a worker for one run of a stateful job: plan, sinks, readers, and the host that map stages run in. */
import { assert, must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { offsetsPerPlace } from '../../core/epoch/row-times.ts';
import type { EpochPlan } from '../../core/epoch/types.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { JobName, LaneId, Offset, Run } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { BlobStore, Connections, Failpoints, Log, SourceReader, TopicDescription } from '../../core/ports.ts';
import type { EpochExecutor } from '../../engine/epoch/contract.ts';
import type { EpochSource, EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import { openEpochSinks } from '../open-sinks.ts';
import type { SinkSet } from '../sink-set.ts';
import type { Executor } from '../../engine/stage.ts';
import type { EpochLookups } from '../lookups/epoch-lookups.ts';
import type { LookupObserver } from '../lookups/lookup-observer.ts';
import type { Places, ReadParts } from './read-range.ts';
import { StageGraph } from './stage-graph.ts';

export interface OpenParts {
  readonly job: JobName;
  readonly run: Run;
  readonly store: MetaStore;
  readonly connections: Connections;
  readonly executor: Executor & EpochExecutor;
  readonly observeLookup?: (job: string, table: string) => LookupObserver;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly failpoints: Failpoints;
  readonly signal: AbortSignal;
  /** Bytes asked of one fetch. */
  readonly fetchBytes: number;
  /** As in `LaneLimits`. */
  readonly taskBytes?: number;
}

interface OpenSource {
  readonly source: EpochSource;
  readonly topic: TopicDescription;
  /** For reading ahead: its fetches wait for data to come. */
  readonly ahead: SourceReader;
  /** For ranges that are known to be there: it must not wait behind the other. */
  readonly known: SourceReader;
}

export class OpenJob {
  readonly plan: EpochsPlan;
  readonly graph: StageGraph;
  readonly sinks: SinkSet;
  /** null = the job looks nothing up. */
  readonly lookups: EpochLookups | null;
  /** Host of map tasks, without state. Names of the hosts of key groups begin with it. */
  readonly hostKey: string;
  readonly #parts: OpenParts;
  readonly #sources: ReadonlyMap<string, OpenSource>;

  private constructor(
    parts: OpenParts,
    plan: EpochsPlan,
    { sinks, lookups }: Pick<OpenJob, 'sinks' | 'lookups'>,
    sources: ReadonlyMap<string, OpenSource>,
  ) {
    this.#parts = parts;
    this.plan = plan;
    this.graph = new StageGraph(plan);
    this.sinks = sinks;
    this.lookups = lookups;
    this.hostKey = hostKeyOf(parts);
    this.#sources = sources;
  }

  /** Waits for what does not answer at the moment. Throws: what will not come right by waiting; the signal's reason. */
  static async open(parts: OpenParts, definition: string): Promise<OpenJob> {
    for (let attempt = 0; ; attempt++) {
      parts.signal.throwIfAborted();
      try {
        return await OpenJob.#open(parts, definition);
      } catch (error) {
        if (!isWeirError(error) || !error.retryable) throw error;
        if (attempt === 0) parts.log.warn({ code: error.code }, error.message);
        await parts.clock.sleep(backoffMs(parts.rng, attempt), parts.signal);
      }
    }
  }

  static async #open(parts: OpenParts, definition: string): Promise<OpenJob> {
    const { job, store, connections, executor, clock, rng, log, failpoints } = parts;
    const text = await store.getDefinition(definition);
    if (text === undefined)
      throw new WeirError('STORE_UNAVAILABLE', `job ${job}: its definition ${definition} is not readable yet`);
    const plan = (JSON.parse(text) as { readonly plan: JobPlan }).plan;
    assert(plan.protocol === 'epochs', () => `job ${job} runs as lanes and has no epochs`);
    const described: [EpochSource, TopicDescription][] = [];
    for (const source of plan.sources)
      described.push([source, await connections.source(source.connector, source.options).describe(source.topic)]);
    const submittedAt = async (): Promise<number> => {
      const row = await store.readOwnership(job);
      if (row === undefined) throw new WeirError('STORE_UNAVAILABLE', `job ${job}: its row is not readable yet`);
      return row.submittedAt;
    };
    const print = (line: string): void => log.info({ job }, line);
    const lookups = await openLookups(parts, plan);
    const openSinks = openEpochSinks(plan, connections, clock, print, { rng, failpoints, submittedAt });
    openSinks.catch(() => lookups?.close());
    const sinks = await openSinks;
    const sources = new Map<string, OpenSource>();
    for (const [source, topic] of described) {
      const place = connections.source(source.connector, source.options);
      sources.set(source.name, { source, topic, ahead: place.open(topic), known: place.open(topic) });
    }
    const open = new OpenJob(parts, plan, { sinks, lookups }, sources);
    await executor.openEpochs(open.hostKey, plan);
    return open;
  }

  /** How to read a partition. Throws: TOPIC_RECREATED when the lane is of a former life of the topic. */
  reading(lane: LaneId, which: 'ahead' | 'known', signal: AbortSignal): ReadParts {
    const { job, clock, rng, fetchBytes } = this.#parts;
    const { source: name, topicId, partition } = parseLaneId(lane);
    const open = must(this.#sources.get(name), () => `job ${job} has no source ${name}`);
    if (open.topic.topicId !== topicId) {
      throw new WeirError(
        'TOPIC_RECREATED',
        `job ${job}: topic ${open.source.topic} was deleted and created again since the job read it; submit the job with ` +
          `--from earliest or --from latest to begin a new run`,
        { facts: { topic: open.source.topic } },
      );
    }
    const { onDataLoss, topic } = open.source;
    return {
      reader: which === 'ahead' ? open.ahead : open.known,
      partition,
      onDataLoss,
      name: `job ${job}, topic ${topic}, partition ${partition}`,
      clock,
      rng,
      signal,
      fetchBytes,
    };
  }

  /** Where a range that begins there is cut into tasks. */
  placesOf(plan: EpochPlan, from: Offset): Places {
    const { taskBytes } = this.#parts;
    const places = { from, step: offsetsPerPlace(plan) };
    return taskBytes === undefined ? places : { ...places, taskBytes };
  }

  topicOf(lane: LaneId): string {
    return must(this.#sources.get(parseLaneId(lane).source), () => `no source of lane ${lane}`).source.topic;
  }

  /** The map stages that read a lane's source. */
  mapStagesOf(lane: LaneId): number[] {
    const { source } = parseLaneId(lane);
    return this.graph.mapStages.filter((index) => {
      const stage = this.plan.stages[index];
      return stage?.kind === 'map' && stage.source === source;
    });
  }

  async close(): Promise<void> {
    const readers = [...this.#sources.values()].flatMap(({ ahead, known }) => [ahead, known]);
    await Promise.allSettled(readers.map((reader) => reader.close()));
    await this.sinks.close();
    await this.lookups?.close();
    await this.#parts.executor.closeEpochs(this.hostKey);
  }
}

function hostKeyOf({ job, run }: OpenParts): string {
  return `${job}/${run}`;
}

async function openLookups(parts: OpenParts, plan: EpochsPlan): Promise<EpochLookups | null> {
  if (plan.stages.every((stage) => stage.kind !== 'map' || stage.lookups === undefined)) return null;
  // Few jobs look anything up.
  const { EpochLookups: Lookups } = await import('../lookups/epoch-lookups.ts');
  const { connections, observeLookup } = parts;
  const blobs = (): BlobStore => connections.blobs();
  const observe = observeLookup === undefined ? {} : { observe: observeLookup };
  return await Lookups.open(plan, hostKeyOf(parts), { ...parts, ...observe, blobs });
}
