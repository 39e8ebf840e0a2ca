/**
 * A job from topic to topic of real Kafka, or of the embedded log, exactly once, with everything else embedded; and the
 * question whether it was: a reader (of Kafka its own consumer) must see every record once, in the order of its partition;
 * of a job with state also every count once, in its order, and the right one at last.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { readLog } from '../../cli/testing/read-log.ts';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { partition } from '../../core/ids.ts';
import type { FailpointName, LogWriter, Source } from '../../core/ports.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { noLog } from '../conformance/no-log.ts';
import { freePorts } from '../services/java-server.ts';
import { uniqueName } from '../services/services.ts';
import { Cluster, until } from './cluster.ts';
import { readCommitted } from './read-committed.ts';

const PARTITIONS = 3;
const BATCH_RECORDS = 25;
const permit = { valid: () => true, check: () => undefined };
const encoder = new TextEncoder();

const KEYS = 40;

/** Where a record was read. */
interface Row {
  readonly part: number;
  readonly at: number;
}

/** How many records of a key there were after an epoch. */
interface Count {
  readonly k: string;
  readonly n: number;
}

/** What the job is: records as they are, or with state: counts by key beside them. */
type Shape = 'lanes' | 'epochs';

function queryOf(shape: Shape, threshold: number): string {
  const where = `WHERE id % 10 <> 0 AND id >= ${threshold}`;
  if (shape === 'lanes') return `query: SELECT partition AS part, offset AS at FROM events ${where}`;
  return `query: |
  SELECT CAST(NULL AS STRING) AS k, partition AS part, offset AS at, CAST(NULL AS BIGINT) AS n FROM events ${where}
  UNION ALL
  SELECT CAST(id % ${KEYS} AS STRING) AS k, CAST(NULL AS INT) AS part, CAST(NULL AS BIGINT) AS at, count(*) AS n
  FROM events GROUP BY id % ${KEYS}
outputMode: update`;
}

export class ExactlyOnceJob {
  readonly cluster: Cluster;
  readonly job: string;
  readonly #shape: Shape;
  readonly #brokers: string | null;
  readonly #input: string;
  readonly #output: string;
  readonly #source: Source;
  readonly #writer: LogWriter;
  readonly #close: () => Promise<void>;
  #produced = 0;

  private constructor(
    cluster: Cluster,
    shape: Shape,
    brokers: string | null,
    connections: ReturnType<typeof makeConnections>,
  ) {
    this.cluster = cluster;
    this.#shape = shape;
    this.#brokers = brokers;
    const name = uniqueName('eo');
    this.job = name.replaceAll('_', '-');
    this.#input = `${name}_in`;
    this.#output = `${name}_out`;
    this.#source = connections.source('kafka', {});
    this.#writer = connections.logWriter('kafka', {});
    this.#close = () => connections.close();
  }

  /** A master, no worker, and the topics; `brokers` null = the embedded log. */
  static async open(brokers: string | null, shape: Shape = 'lanes'): Promise<ExactlyOnceJob> {
    const [port = 0] = await freePorts(1);
    const services = { WEIR_EMBEDDED: `127.0.0.1:${port}`, ...(brokers === null ? {} : { KAFKA_BROKERS: brokers }) };
    const cluster = await Cluster.create(services);
    const connections = makeConnections(services, { clock: systemClock, rng: systemRng, log: noLog });
    const job = new ExactlyOnceJob(cluster, shape, brokers, connections);
    try {
      cluster.spawn('embedded', ['embedded', '--port', String(port)]);
      const tables = connections.tables('cassandra', {});
      await until('the embedded process answers', 60_000, () => tables.describe('a', 'b').then(() => true));
      for (const topic of [job.#input, job.#output])
        await until(`${topic} is there`, 60_000, () => job.#writer.createTopic(topic, PARTITIONS).then(() => true));
      await cluster.startMaster();
    } catch (error) {
      await job.close();
      throw error;
    }
    return job;
  }

  /** Submits the job; one with another threshold is another revision, and goes on where this one stands. */
  async apply(threshold = 0): Promise<void> {
    await this.cluster.apply(
      this.job,
      `apiVersion: weir/v1
kind: Job
name: ${this.job}
sources:
  events: { connector: kafka, topic: ${this.#input}, startingOffsets: earliest, schema: 'id INT NOT NULL' }
${queryOf(this.#shape, threshold)}
sinks:
  - { connector: kafka, topic: ${this.#output}, guarantee: exactlyOnce${this.#shape === 'epochs' ? ', key: k' : ''} }
`,
    );
  }

  /** `count` more records, spread over the partitions. */
  async produce(count: number): Promise<void> {
    const end = this.#produced + count;
    for (let from = this.#produced, turn = 0; from < end; from += BATCH_RECORDS, turn++) {
      const records = Array.from({ length: Math.min(BATCH_RECORDS, end - from) }, (_, index) => ({
        key: null,
        value: encoder.encode(JSON.stringify({ id: from + index })),
        timestampMs: Date.now(),
      }));
      const append = { topic: this.#input, partition: partition(turn % PARTITIONS), batch: encodeRecordBatch(records) };
      await this.#writer.append([append], permit);
    }
    this.#produced = end;
  }

  /** A worker that is killed at a point of its second transaction, while records come. */
  async killAt(point: FailpointName): Promise<void> {
    const victim = await this.cluster.startWorker(`${point}=kill@2`, false);
    while (victim.alive) {
      await this.produce(100);
      await sleep(200);
    }
    assert.match(await victim.log(), new RegExp(`failpoint ${point} kill`));
  }

  /** Until the job has committed all that is in its topic. */
  async taken(limitMs = 120_000): Promise<void> {
    const partitions = Array.from({ length: PARTITIONS }, (_, index) => partition(index));
    const ends = await this.#source.offsets(this.#input, partitions, 'latest');
    // By position: counters begin anew with every run.
    await until(`${this.job} comes to the end of ${this.#input}`, limitMs, async () => {
      const { lanes, row, epochs } = await this.cluster.job(this.job);
      assert.notEqual(row.state, 'failed', JSON.stringify(row.reason));
      if (this.#shape === 'epochs') {
        if (epochs === null || epochs.planned > epochs.committed) return false;
        const at = new Map(Object.entries(epochs.positions).map(([lane, to]) => [Number(lane.split('/').at(-1)), to]));
        return partitions.every((index) => (at.get(index) ?? -1) >= (ends.get(index) ?? 0));
      }
      const committed = new Map(lanes.map((lane) => [lane.partition, lane.committedOffset]));
      return partitions.every((index) => (committed.get(index) ?? -1) >= (ends.get(index) ?? 0));
    });
  }

  /**
   * Every record of the input is in the output once, in the order of its partition. Records are told apart by their
   * offsets: what produces them here may repeat one.
   */
  async check(): Promise<void> {
    const rows = (await this.#written()).map((line) => JSON.parse(line) as Row | Count);
    const found = Map.groupBy(
      rows.flatMap((row) => ('at' in row ? [row] : [])),
      ({ part }) => part,
    );
    const counts = new Map<string, number>();
    for (let part = 0; part < PARTITIONS; part++) {
      const input = await readLog(this.#source, this.#input, 0, part);
      const expected = input.filter(({ value }) => idOf(value) % 10 !== 0).map(({ offset }) => offset);
      for (const { value } of input) {
        const key = String(idOf(value) % KEYS);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
      const offsets = (found.get(part) ?? []).map(({ at }) => at);
      const first = expected.findIndex((offset, index) => offset !== offsets[index]);
      // Thousands of numbers tell less than the first that is wrong.
      assert.equal(first, -1, `partition ${part}: ${offsets[first]} stands where ${expected[first]} belongs`);
      assert.equal(offsets.length, expected.length, `partition ${part} has rows too many`);
    }
    if (this.#shape === 'epochs') checkCounts(rows, counts);
  }

  async #written(): Promise<readonly string[]> {
    const log = { source: this.#source, writer: this.#writer };
    if (this.#brokers !== null) return await readCommitted(this.#brokers, this.#output, log);
    const partitions = Array.from({ length: PARTITIONS }, (_, index) => readLog(this.#source, this.#output, 0, index));
    return (await Promise.all(partitions)).flat().map(({ value }) => value ?? '');
  }

  async close(): Promise<void> {
    await this.#close();
    await this.cluster.close();
  }
}

/** An epoch that was written twice repeats a count; one that came late makes a count fall. */
function checkCounts(rows: readonly (Row | Count)[], expected: ReadonlyMap<string, number>): void {
  const last = new Map<string, number>();
  for (const row of rows) {
    if (!('k' in row)) continue;
    const before = last.get(row.k) ?? 0;
    assert.ok(row.n > before, `key ${row.k}: ${row.n} comes after ${before}`);
    last.set(row.k, row.n);
  }
  assert.deepEqual(Object.fromEntries([...last].sort()), Object.fromEntries([...expected].sort()));
}

function idOf(value: string | null): number {
  return (JSON.parse(value ?? '') as { readonly id: number }).id;
}
