/**
 * `latency`: Kafka → job → Kafka at fixed rates, five partitions. A generator in a process of its own sends records when
 * they are due, whatever becomes of them; an independent consumer notes when their results come in. Latency is from the
 * time a record was due to the receipt, on one monotonic clock; of a result of many records, that of the newest one.
 *
 * Beside each, in the same run, the floor: the same consumer straight on an input topic at that rate; of the shape `table`,
 * a bare writer that consumes and writes with the driver; and a bare LWT. Output is at least once. `--only` takes shapes.
 *
 * Both servers run as their own start scripts run them (G1, all of the JIT) and are warmed up first: with the settings of
 * tests, half of a record's time is the broker's.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import cassandra from 'cassandra-driver';
import { must } from '../core/assert.ts';
import { BenchCluster } from './cluster.ts';
import { createTopic } from './data/preload.ts';
import type { StartedWeir } from './cluster.ts';
import type { ConsumerSettings } from './latency/consumer-main.ts';
import type { GeneratorSettings } from './latency/generator-main.ts';
import type { Shape } from './latency/shapes.ts';
import { expectedRows, shapes, weirJob } from './latency/shapes.ts';
import { machineSeconds } from './measure/machine.ts';
import { treeCpu } from './measure/process-usage.ts';
import { median, percentile, round } from './measure/statistics.ts';
import { PeerMissing } from './peers/install.ts';
import { kafkaStreamsCommand } from './peers/kafka-streams/run.ts';
import { PeerProcess } from './peers/process.ts';
import { sparkArgs } from './peers/spark/run.ts';
import { installSpark, spark4 } from './peers/spark/spark.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { RoundsInTime, note, print } from './throughput.ts';
import { recordsIn } from './topic-reader.ts';

export const defaults: SuiteDefaults = {
  rounds: 1,
  partitions: 5,
  rates: [1000, 10_000, 100_000],
  seconds: 30,
  warmUpSeconds: 20,
  peers: ['spark', 'kafka-streams'],
};

const KEYSPACE = 'weir_bench';
const LWT_ROUNDS = 500;
/** How long results may come after the last record. */
const DRAIN_LIMIT_MS = 60_000;
const FIGURES_WINDOW_SECONDS = 5;

const generatorProgram = fileURLToPath(new URL('latency/generator-main.ts', import.meta.url));
const consumerProgram = fileURLToPath(new URL('latency/consumer-main.ts', import.meta.url));

interface Point {
  readonly shape: Shape;
  readonly rate: number;
  readonly input: string;
  readonly output: string;
}

interface Figures {
  readonly counted: number;
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
  readonly p99Ms: number | null;
  readonly p999Ms: number | null;
  readonly maxMs: number | null;
}

interface Measured extends Figures {
  readonly cpuSecondsPerSecond: number | null;
  /** Cores that processes of others kept busy. */
  readonly foreignCores: number | null;
  readonly problems: readonly string[];
}

interface LatencySystem {
  readonly name: string;
  readonly version: string;
  /** False when it has no such job. */
  readonly runs: (shape: Shape) => boolean;
  /** Starts the job; what ends it, and the processes that count. */
  readonly start: (point: Point) => Promise<{ readonly pids: readonly number[]; stop(): Promise<void> }>;
  /** Whose records the consumer reads: of the floor, the generator's. */
  readonly reads: 'input' | 'output';
}

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const wanted = options.only.length === 0 ? shapes : shapes.filter((shape) => options.only.includes(shape));
  await using cluster = await BenchCluster.start({ cassandra: true, store: 'real', jvm: 'service' });
  const client = new cassandra.Client({
    contactPoints: [cluster.contactPoint ?? ''],
    localDataCenter: 'datacenter1',
  });
  let right = true;
  try {
    await client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${KEYSPACE} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
    );
    const weir = options.weir ? await cluster.startWeir(options.threads) : undefined;
    const systems = [floor, ...(weir === undefined ? [] : [weirOf(cluster, weir)]), ...peersOf(options, cluster)];
    const [firstRate = 1] = options.rates;
    note('warming up the servers');
    await measure(options, cluster, client, floor, {
      shape: 'stateless',
      rate: firstRate,
      input: 'warm_up',
      output: 'none',
    });
    const rounds = new RoundsInTime({ rounds: options.rates.length, minutes: options.minutes });
    for (const rate of options.rates) {
      if (!rounds.next()) break;
      const lwtFloorMs = await lwtFloor(client);
      const floors = new Map<string, Measured>();
      for (const shape of wanted) {
        const results = new Map<string, Measured>();
        for (const system of systems) {
          const floorShape = shape === 'table' ? 'table' : 'topic';
          if (system === floor && floors.has(floorShape))
            results.set(
              'floor',
              must(floors.get(floorShape), () => 'there'),
            );
          if (!system.runs(shape) || results.has(system.name)) continue;
          const middle = await measuredRounds(options, cluster, client, system, { shape, rate });
          results.set(system.name, middle);
          if (system === floor) floors.set(floorShape, middle);
          right &&= middle.problems.length === 0;
          print({
            bench: 'latency',
            shape: system === floor ? floorShape : shape,
            rate,
            system: system.name,
            version: system.version,
            guarantee: 'at least once',
            warmUp: `${options.warmUpSeconds} s of records`,
            seconds: options.seconds,
            rounds: options.rounds,
            ...middle,
            lwtFloorMs,
            cores: availableParallelism(),
          });
        }
        printRatio(shape, rate, results);
      }
    }
  } finally {
    await client.shutdown();
  }
  return right;
}

/** Ours to the floor and to each peer, of p99. Less is better. */
function printRatio(shape: Shape, rate: number, results: ReadonlyMap<string, Measured>): void {
  const ours = results.get('weir')?.p99Ms;
  if (ours === undefined || ours === null) return;
  const others = [...results].flatMap(([name, { p99Ms }]) =>
    name === 'weir' || p99Ms === null ? [] : [[name, p99Ms] as const],
  );
  const peer = others.find(([name]) => name !== 'floor') ?? others[0];
  if (peer === undefined) return;
  print({
    bench: 'latency',
    shape,
    rate,
    figure: 'p99Ms',
    ratio: round(ours / peer[1], 3),
    to: peer[0],
    aboveFloorMs: round(ours - (results.get('floor')?.p99Ms ?? Number.NaN), 2),
  });
}

/** A point that cannot be measured is one with a problem: the others go on. */
async function measuredRounds(
  options: SuiteOptions,
  cluster: BenchCluster,
  client: cassandra.Client,
  system: LatencySystem,
  { shape, rate }: { readonly shape: Shape; readonly rate: number },
): Promise<Measured> {
  const runs: Measured[] = [];
  for (let index = 0; index < options.rounds; index++) {
    const suffix = `${shape}_${rate}_${system.name.replaceAll('-', '_')}_${index}`;
    const point = { shape, rate, input: `in_${suffix}`, output: `out_${suffix}` };
    try {
      runs.push(await measure(options, cluster, client, system, point));
    } catch (error) {
      runs.push({ ...nothingMeasured, problems: [String(error).slice(0, 600)] });
    }
    note(
      `${system.name}, ${shape}, ${rate} records/s: p99 ${runs.at(-1)?.p99Ms} ms ${runs.at(-1)?.problems.join('; ')}`,
    );
  }
  return middleOf(runs);
}

const nothingMeasured: Measured = {
  counted: 0,
  p50Ms: null,
  p90Ms: null,
  p99Ms: null,
  p999Ms: null,
  maxMs: null,
  cpuSecondsPerSecond: null,
  foreignCores: null,
  problems: [],
};

/** The run with the middle p99. */
function middleOf(runs: readonly Measured[]): Measured {
  const sorted = runs.toSorted((a, b) => (a.p99Ms ?? 0) - (b.p99Ms ?? 0));
  const middle = sorted[sorted.length >> 1];
  if (middle === undefined) throw new Error('no run');
  return { ...middle, problems: runs.flatMap(({ problems }) => problems) };
}

async function measure(
  options: SuiteOptions,
  cluster: BenchCluster,
  client: cassandra.Client,
  system: LatencySystem,
  point: Point,
): Promise<Measured> {
  const { shape, rate, input, output } = point;
  const brokers = cluster.brokers ?? '';
  const { partitions, warmUpSeconds, seconds } = options;
  const bareWriter = shape === 'table' && system.reads === 'input';
  await createTopic(cluster.writer, input, partitions);
  if (shape === 'table')
    await client.execute(`CREATE TABLE ${KEYSPACE}.${output} (k text PRIMARY KEY, v bigint, sent bigint)`);
  else await createTopic(cluster.writer, output, partitions);
  const sums = expectedRows(shape, 1) === undefined && system.reads === 'output';
  const consumerSettings: ConsumerSettings = {
    brokers,
    topic: system.reads === 'input' || shape === 'table' ? input : output,
    sums,
    ...(bareWriter ? { table: { contactPoint: cluster.contactPoint ?? '', name: output } } : {}),
  };
  const generatorSettings: GeneratorSettings = {
    brokers,
    topic: input,
    partitions,
    rate,
    seconds: warmUpSeconds + seconds,
    shape,
  };
  const started = await system.start(point);
  try {
    await using consumer = nodeProcess('the consumer', consumerProgram, consumerSettings);
    await using generator = nodeProcess('the generator', generatorProgram, generatorSettings);
    await consumer.until('ready');
    await generator.until('ready');
    generator.say('go');
    const { startedUs } = await generator.until('started');
    const own = shape === 'table' && !bareWriter;
    const windows: { readonly p50: number; readonly p90: null; readonly p99: number }[] = [];
    await sleep(warmUpSeconds * 1000);
    const cpuBefore = started.pids.length === 0 ? null : treeCpu(started.pids);
    const measuredFrom = performance.now();
    const foreignBefore = foreignSeconds();
    for (let at = FIGURES_WINDOW_SECONDS; own && at <= seconds; at += FIGURES_WINDOW_SECONDS) {
      await sleep(Math.max(0, measuredFrom + at * 1000 - performance.now()));
      const { latencyMsP50, latencyMsP99 } = await cluster.job(nameOf(point));
      if (latencyMsP50 !== null && latencyMsP99 !== null)
        windows.push({ p50: latencyMsP50, p90: null, p99: latencyMsP99 });
    }
    const { sent } = await generator.until('done');
    const elapsed = (performance.now() - measuredFrom) / 1000;
    const foreignCores = round(Math.max(0, foreignSeconds() - foreignBefore) / elapsed, 2);
    const cpuAfter = started.pids.length === 0 ? null : treeCpu(started.pids);
    const cpuSecondsPerSecond =
      cpuBefore === null || cpuAfter === null
        ? null
        : round((cpuAfter.user + cpuAfter.system - cpuBefore.user - cpuBefore.system) / elapsed, 3);
    // On a busy machine the generator's client may send a batch twice: what lies in the topic is what was to be read.
    const there = await recordsIn(brokers, input);
    const ofAll = system.reads === 'input' || shape === 'table' || shape === 'stateless';
    const wanted = ofAll ? there : expectedRows(shape, Number(sent));
    const { problems } = await drained(consumer, wanted, there);
    if (own) {
      return {
        counted: windows.length,
        p50Ms: round(median(windows.map(({ p50 }) => p50)), 2),
        p90Ms: null,
        p99Ms: round(median(windows.map(({ p99 }) => p99)), 2),
        p999Ms: null,
        maxMs: round(
          percentile(
            windows.map(({ p99 }) => p99).toSorted((a, b) => a - b),
            1,
          ),
          2,
        ),
        cpuSecondsPerSecond,
        foreignCores,
        problems,
      };
    }
    consumer.say(`figures ${Number(startedUs) + warmUpSeconds * 1e6}`);
    const { event: _, ...figures } = await consumer.until('figures');
    return { ...(figures as unknown as Figures), cpuSecondsPerSecond, foreignCores, problems };
  } finally {
    await started.stop();
  }
}

/** Seconds of all cores that neither the bench nor what it started has used. */
function foreignSeconds(): number {
  const { busy, stolen } = machineSeconds();
  const { user, system } = treeCpu([process.pid]);
  return busy + stolen - user - system;
}

/** Waits until all results are there, or nothing comes any more. */
async function drained(
  consumer: PeerProcess,
  wanted: number | undefined,
  sent: number,
): Promise<{ readonly problems: readonly string[] }> {
  const deadline = performance.now() + DRAIN_LIMIT_MS;
  for (;;) {
    consumer.say('count');
    const { count, sum } = await consumer.until('count');
    const there = wanted === undefined ? Number(sum) : Number(count);
    const whole = wanted ?? sent;
    if (there >= whole) return { problems: there === whole ? [] : [`${there} results instead of ${whole}`] };
    if (performance.now() > deadline) return { problems: [`${there} results instead of ${whole}`] };
    await sleep(100);
  }
}

function nodeProcess(name: string, program: string, settings: unknown): PeerProcess {
  return new PeerProcess(name, process.execPath, [
    '--disable-warning=ExperimentalWarning',
    program,
    JSON.stringify(settings),
  ]);
}

function nameOf({ shape, rate, input }: Point): string {
  return `latency-${shape}-${rate}-${input.slice(input.lastIndexOf('_') + 1)}`;
}

const floor: LatencySystem = {
  name: 'floor',
  version: 'produce → consume; table: produce → consume → driver',
  runs: () => true,
  start: async () => await Promise.resolve({ pids: [], stop: async () => await Promise.resolve() }),
  reads: 'input',
};

function weirOf(cluster: BenchCluster, started: StartedWeir): LatencySystem {
  return {
    name: 'weir',
    version: `Node ${process.versions.node}, state and metadata in Cassandra`,
    runs: () => true,
    reads: 'output',
    start: async (point) => {
      const name = nameOf(point);
      await cluster.apply(name, weirJob(name, point.shape, point));
      await cluster.waitFor(
        name,
        ({ row, epochs, lanes }) =>
          row.state === 'running' &&
          (epochs !== null || (lanes.length > 0 && lanes.every((lane) => lane.state === 'running'))),
      );
      return {
        pids: [started.masterPid, ...started.workerPids],
        stop: async () => await cluster.act(name, 'stop'),
      };
    },
  };
}

function peersOf(options: SuiteOptions, cluster: BenchCluster): LatencySystem[] {
  return options.peers.flatMap((peer) => {
    try {
      if (peer === 'spark') return [sparkLatency(cluster.brokers ?? '')];
      if (peer === 'kafka-streams') return [kafkaStreamsLatency(cluster.brokers ?? '')];
      return [];
    } catch (error) {
      if (!(error instanceof PeerMissing)) throw error;
      note(`${peer} is missing: ${error.message}`);
      print({ bench: 'latency', system: peer, missing: error.message });
      return [];
    }
  });
}

function sparkLatency(brokers: string): LatencySystem {
  const { python, jars } = installSpark(spark4);
  return {
    name: 'spark',
    version: `${spark4.version}, local[2], micro-batches as soon as possible`,
    runs: (shape) => shape !== 'table',
    reads: 'output',
    start: async ({ shape, input, output }) => {
      const checkpoint = await mkdtemp(join(tmpdir(), 'weir-bench-spark-'));
      const settings = { bench: 'latency', shape, brokers, topic: input, output, records: 0, checkpoint };
      const peer = new PeerProcess('Spark', python, sparkArgs(jars, settings));
      return await startedPeer(peer, checkpoint);
    },
  };
}

function kafkaStreamsLatency(brokers: string): LatencySystem {
  return {
    name: 'kafka-streams',
    version: '4.3.1, 2 threads, commit interval 30 s (at least once)',
    runs: (shape) => shape !== 'table' && shape !== 'dedup',
    reads: 'output',
    start: async ({ shape, input, output }) => {
      const state = await mkdtemp(join(tmpdir(), 'weir-bench-streams-'));
      const application = `latency-${input}-${process.pid}`;
      const settings = { bench: 'latency', shape, brokers, topic: input, output, state, application };
      const peer = new PeerProcess('Kafka Streams', 'java', kafkaStreamsCommand(settings));
      return await startedPeer(peer, state);
    },
  };
}

async function startedPeer(
  peer: PeerProcess,
  directory: string,
): Promise<{ readonly pids: readonly number[]; stop(): Promise<void> }> {
  const stop = async (): Promise<void> => {
    await peer[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    await peer.until('ready');
    peer.say('go');
    await peer.until('started');
    return { pids: [peer.pid], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A compare-and-set of Cassandra, one after the other. */
async function lwtFloor(client: cassandra.Client): Promise<{ readonly p50: number; readonly p99: number }> {
  const table = `${KEYSPACE}.lwt_floor`;
  await client.execute(`CREATE TABLE IF NOT EXISTS ${table} (k text PRIMARY KEY, v int)`);
  await client.execute(`INSERT INTO ${table} (k, v) VALUES ('one', 0)`);
  const took: number[] = [];
  for (let v = 0; v < LWT_ROUNDS; v++) {
    const startedAt = performance.now();
    await client.execute(`UPDATE ${table} SET v = ? WHERE k = 'one' IF v = ?`, [v + 1, v], { prepare: true });
    took.push(performance.now() - startedAt);
  }
  await client.execute(`DROP TABLE ${table}`);
  const sorted = took.toSorted((a, b) => a - b);
  return { p50: round(percentile(sorted, 0.5), 2), p99: round(percentile(sorted, 0.99), 2) };
}
