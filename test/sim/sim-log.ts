/**
 * A pretend Kafka: topics of real RecordBatch v2 bytes, read_committed with aborted transactions and control batches,
 * retention, topics deleted and made again. Batch boundaries are decided once, when records are appended.
 */
import { assert, must } from '../../core/assert.ts';
import { crc32c } from '../../core/crc32c.ts';
import { WeirError } from '../../core/errors.ts';
import type { Offset, Partition, TopicId } from '../../core/ids.ts';
import { offset as asOffset, partition as asPartition, topicId } from '../../core/ids.ts';
import type { FetchRequest, Fetched, OffsetQuery, Source, SourceReader, TopicDescription } from '../../core/ports.ts';
import type { AbortedTransaction } from '../../core/record-batch.ts';
import { ATTRIBUTE_CONTROL, ATTRIBUTE_TRANSACTIONAL } from '../../core/record-batch.ts';
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimNetwork } from './network.ts';

export const LOG_SERVER = 'log';
const REQUEST_TIMEOUT_MS = 1500;

interface StoredBatch {
  readonly bytes: Uint8Array;
  readonly baseOffset: number;
  readonly nextOffset: number;
}

/** A data batch as a checker sees it. */
export interface BatchFacts {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly maxTimestampMs: number;
}

interface LogPartition {
  readonly batches: StoredBatch[];
  readonly aborted: { readonly producerId: bigint; readonly firstOffset: number; readonly lastOffset: number }[];
  /** Committed data batches in order, for checkers; never deleted. */
  readonly visible: BatchFacts[];
  logStart: number;
  end: number;
  /** First offset of a transaction that is not decided yet, or null. */
  openFrom: number | null;
  readonly waiting: Set<() => void>;
}

interface Topic {
  readonly name: string;
  readonly id: TopicId;
  readonly partitions: LogPartition[];
}

/** The brokers' side. */
export class SimLogServer {
  readonly #topics = new Map<string, Topic>();
  #made = 0;
  #producerId = 1000n;

  createTopic(name: string, partitions: number): void {
    const id = topicId(`00000000-0000-4000-8000-${String(++this.#made).padStart(12, '0')}`);
    this.#topics.set(name, { name, id, partitions: Array.from({ length: partitions }, emptyPartition) });
  }

  addPartition(name: string): void {
    this.topic(name).partitions.push(emptyPartition());
  }

  topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new WeirError('TOPIC_NOT_FOUND', `the simulated log has no topic ${name}`);
    return topic;
  }

  partition(name: string, index: number): LogPartition {
    return must(this.topic(name).partitions[index], () => `topic ${name} has no partition ${index}`);
  }

  /** Appends one batch that every reader sees. The offset of its first record. */
  append(name: string, index: number, records: readonly RecordToEncode[]): number {
    const base = this.#store(this.partition(name, index), encodeRecordBatch(records), records.length);
    this.#noteVisible(name, index, base, records);
    return base;
  }

  /** As {@link append}, but only where the log ends at `expectedEnd`. Throws: FENCED. */
  appendAt(name: string, index: number, expectedEnd: number, records: readonly RecordToEncode[]): void {
    const { end } = this.partition(name, index);
    if (end !== expectedEnd)
      throw new WeirError('FENCED', `${name}/${index} ends at ${end}, not ${expectedEnd}: another writer took it`);
    this.append(name, index, records);
  }

  has(name: string): boolean {
    return this.#topics.has(name);
  }

  /** Appends one batch as a producer encoded it; its offsets become those of the log. */
  appendBatch(name: string, index: number, bytes: Uint8Array): void {
    const count = new DataView(bytes.buffer, bytes.byteOffset).getInt32(57);
    this.#store(this.partition(name, index), bytes, count);
  }

  /**
   * Appends batches of one transaction and its end marker, with batches of others in between when `between` appends
   * some. Readers see nothing after its first offset until the marker. Offsets of the batches' first records.
   */
  appendTransaction(
    name: string,
    index: number,
    batches: readonly (readonly RecordToEncode[])[],
    commit: boolean,
    between: () => void,
  ): number[] {
    const log = this.partition(name, index);
    const producerId = this.#producerId++;
    const firstOffset = log.end;
    log.openFrom ??= firstOffset;
    const bases: number[] = [];
    for (const records of batches) {
      const base = this.#store(log, asTransactional(encodeRecordBatch(records), producerId, false), records.length);
      bases.push(base);
      if (commit) this.#noteVisible(name, index, base, records);
      between();
    }
    const marker = encodeRecordBatch([
      { key: Uint8Array.of(0, 0, 0, commit ? 1 : 0), value: new Uint8Array(6), timestampMs: 0 },
    ]);
    if (!commit) log.aborted.push({ producerId, firstOffset, lastOffset: log.end });
    log.openFrom = null;
    this.#store(log, asTransactional(marker, producerId, true), 1);
    log.visible.sort((a, b) => a.baseOffset - b.baseOffset);
    return bases;
  }

  lastStableOffset(name: string, index: number): number {
    const log = this.partition(name, index);
    return log.openFrom ?? log.end;
  }

  #store(log: LogPartition, bytes: Uint8Array, count: number): number {
    const baseOffset = log.end;
    new DataView(bytes.buffer, bytes.byteOffset).setBigInt64(0, BigInt(baseOffset));
    log.batches.push({ bytes, baseOffset, nextOffset: baseOffset + count });
    log.end += count;
    if (log.openFrom === null) for (const wake of Array.from(log.waiting)) wake();
    return baseOffset;
  }

  #noteVisible(name: string, index: number, baseOffset: number, records: readonly RecordToEncode[]): void {
    const maxTimestampMs = Math.max(...records.map((record) => record.timestampMs));
    this.partition(name, index).visible.push({ baseOffset, nextOffset: baseOffset + records.length, maxTimestampMs });
  }
}

function emptyPartition(): LogPartition {
  return { batches: [], aborted: [], visible: [], logStart: 0, end: 0, openFrom: null, waiting: new Set() };
}

/** The batch as a transactional producer would have written it. */
function asTransactional(batch: Uint8Array, producerId: bigint, control: boolean): Uint8Array {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  view.setInt16(21, view.getInt16(21) | ATTRIBUTE_TRANSACTIONAL | (control ? ATTRIBUTE_CONTROL : 0));
  view.setBigInt64(43, producerId);
  view.setInt16(51, 0);
  view.setUint32(17, crc32c(batch, 21));
  return batch;
}

/** One process's client of the pretend Kafka. */
export class SimSource implements Source {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #server: SimLogServer;
  readonly #node: SimNode;

  constructor(sim: Simulation, network: SimNetwork, server: SimLogServer, node: SimNode) {
    this.#sim = sim;
    this.#network = network;
    this.#server = server;
    this.#node = node;
  }

  async describe(name: string): Promise<TopicDescription> {
    return unwrap(
      await this.#call(() => {
        const { id, partitions } = this.#server.topic(name);
        return { topic: name, topicId: id, partitions: partitions.map((_, index) => asPartition(index)) };
      }),
    );
  }

  async offsets(name: string, partitions: readonly Partition[], query: OffsetQuery): Promise<Map<Partition, Offset>> {
    return unwrap(
      await this.#call(
        () => new Map(partitions.map((index) => [index, asOffset(this.#find(name, index, query))] as const)),
      ),
    );
  }

  #find(name: string, index: number, query: OffsetQuery): number {
    const log = this.#server.partition(name, index);
    if (query === 'earliest') return log.logStart;
    if (query === 'latest') return this.#server.lastStableOffset(name, index);
    const batch = log.visible.find(
      (candidate) => candidate.maxTimestampMs >= query.timestampMs && candidate.nextOffset > log.logStart,
    );
    return batch?.baseOffset ?? log.end;
  }

  #call<T>(apply: () => T): Promise<Answer<T>> {
    return this.#network.request(this.#options(REQUEST_TIMEOUT_MS), () => attempt(apply));
  }

  #options(timeoutMs: number): Parameters<SimNetwork['request']>[0] {
    const unavailable = (): WeirError => new WeirError('SOURCE_UNAVAILABLE', 'the simulated log does not answer');
    return { client: this.#node, server: LOG_SERVER, timeoutMs, write: false, unavailable };
  }

  open(topic: TopicDescription): SourceReader {
    return {
      fetch: (request) => this.#fetch(topic, request),
      close: () => Promise.resolve(),
    };
  }

  showOffsets(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** A long poll: the request waits at the server until there is data or the wait is over. */
  async #fetch(topic: TopicDescription, request: FetchRequest): Promise<Fetched> {
    const { signal } = request;
    const aborted = Promise.withResolvers<never>();
    aborted.promise.catch(() => undefined);
    const onAbort = (): void => aborted.reject(signal?.reason);
    if (signal?.aborted === true) throw signal.reason;
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([
        this.#call(() => this.#waitForData(topic, request))
          .then(unwrap)
          .then((data) => data.wait),
        aborted.promise,
      ]);
      return unwrap(await Promise.race([this.#call(() => this.#read(topic, request)), aborted.promise]));
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Wrapped, so that handing it over does not wait for it. */
  #waitForData(topic: TopicDescription, request: FetchRequest): { readonly wait: Promise<void> } {
    const log = this.#partitionOf(topic, request.partition);
    if (request.offset < (log.openFrom ?? log.end) || request.offset < log.logStart || request.offset > log.end)
      return { wait: Promise.resolve() };
    const { promise, resolve } = Promise.withResolvers<void>();
    const finish = (): void => {
      log.waiting.delete(finish);
      cancel();
      // The answer comes as an event of the client, as any other.
      this.#sim.at(0, this.#node, resolve);
    };
    const cancel = this.#sim.at(request.maxWaitMs, null, finish);
    log.waiting.add(finish);
    return { wait: promise };
  }

  #partitionOf(topic: TopicDescription, index: number): LogPartition {
    const current = this.#server.topic(topic.topic);
    if (current.id !== topic.topicId)
      throw new WeirError('TOPIC_RECREATED', `the simulated topic ${topic.topic} was made again`);
    return this.#server.partition(topic.topic, index);
  }

  #read(topic: TopicDescription, request: FetchRequest): Fetched {
    const log = this.#partitionOf(topic, request.partition);
    const { offset } = request;
    if (offset < log.logStart || offset > log.end) {
      throw new WeirError('OFFSET_OUT_OF_RANGE', `offset ${offset} is not in [${log.logStart}, ${log.end}]`, {
        facts: { low: log.logStart, high: log.end },
      });
    }
    const stable = log.openFrom ?? log.end;
    const first = lowerBound(log.batches, offset);
    const taken: StoredBatch[] = [];
    let size = 0;
    for (let index = first; index < log.batches.length; index++) {
      const batch = log.batches[index];
      if (
        batch === undefined ||
        batch.baseOffset >= stable ||
        (taken.length > 0 && size + batch.bytes.byteLength > request.maxBytes)
      )
        break;
      taken.push(batch);
      size += batch.bytes.byteLength;
    }
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const batch of taken) {
      bytes.set(batch.bytes, at);
      at += batch.bytes.byteLength;
    }
    const upTo = taken.at(-1)?.nextOffset ?? offset;
    const aborted: AbortedTransaction[] = log.aborted
      .filter((transaction) => transaction.lastOffset >= offset && transaction.firstOffset < upTo)
      .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: asOffset(firstOffset) }));
    assert(stable <= log.end, () => 'the last stable offset is beyond the end');
    return {
      bytes,
      transferable: true,
      aborted,
      lastStableOffset: asOffset(stable),
      highWatermark: asOffset(log.end),
      logStartOffset: asOffset(log.logStart),
    };
  }
}

/** Index of the batch that holds `offset`, or of the first after it. */
function lowerBound(batches: readonly StoredBatch[], offset: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((batches[middle]?.nextOffset ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Errors of a server travel as values: the request itself succeeded. */
export type Answer<T> = { readonly value: T } | { readonly error: unknown };

export function attempt<T>(apply: () => T): Answer<T> {
  try {
    return { value: apply() };
  } catch (error) {
    return { error };
  }
}

export function unwrap<T>(answer: Answer<T>): T {
  if ('error' in answer) throw answer.error;
  return answer.value;
}
