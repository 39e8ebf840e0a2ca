/**
 * Gathers records into record batches and appends them, as Kafka's producer does: a batch leaves when it is full or has
 * waited for the linger time. One append is under way at a time, with at most one batch per partition, so the order
 * per key holds under retries.
 */
import { assert } from '../core/assert.ts';
import type { Clock } from '../core/clock.ts';
import { partition as partitionIndex } from '../core/ids.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import { partitionOfKey } from '../core/murmur2.ts';
import type { LogAppend, LogWriter } from '../core/ports.ts';
import type { RecordToEncode } from '../core/record-batch-encoder.ts';
import { encodeRecordBatch } from '../core/record-batch-encoder.ts';
import type { ProducerRecord } from '../sdk/producer.ts';

/** Nobody else owns what a producer writes. */
const alwaysPermitted: WritePermit = { valid: () => true, check: () => undefined };

export interface BatcherLimits {
  /** Longest time a record waits for others, ms. */
  readonly lingerMs: number;
  /** Target size of a batch; below Kafka's default limit of 1 MiB. A larger record travels alone. */
  readonly batchBytes: number;
  /** Above so many bytes waiting, {@link RecordBatcher.send} waits. */
  readonly waitingBytesMax: number;
}

const batcherLimitsDefault: BatcherLimits = {
  lingerMs: 2,
  batchBytes: 512 * 1024,
  waitingBytesMax: 16 * 1024 * 1024,
};

/** Bytes a record needs in a batch besides key and value, at most, without headers. */
const RECORD_OVERHEAD_BYTES = 24;

interface Waiting {
  records: RecordToEncode[];
  bytes: number;
}

const textEncoder = new TextEncoder();

/** For one topic. */
export class RecordBatcher {
  readonly #writer: LogWriter;
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #limits: BatcherLimits;
  /** Per partition, batches in order; the last one is still open. */
  readonly #queues: Waiting[][];
  #waitingBytes = 0;
  #sentRecords = 0;
  #nextKeyless = 0;
  #cancelTimer: (() => void) | null = null;
  #appending: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #roomMade = Promise.withResolvers<void>();

  constructor(
    writer: LogWriter,
    topic: string,
    partitionCount: number,
    clock: Clock,
    limits: BatcherLimits = batcherLimitsDefault,
  ) {
    assert(partitionCount > 0, () => `topic ${topic} has no partitions`);
    this.#writer = writer;
    this.#topic = topic;
    this.#clock = clock;
    this.#limits = limits;
    this.#queues = Array.from({ length: partitionCount }, () => []);
  }

  /** Records acknowledged by the log so far. */
  get sentRecords(): number {
    return this.#sentRecords;
  }

  /** Accepts records; resolves when there is room for more. Throws what an earlier append ended with. */
  async send(records: readonly ProducerRecord[]): Promise<void> {
    this.#throwFailure();
    const timestampMs = this.#clock.now();
    for (const record of records) this.#add(record, timestampMs);
    if (this.#isBatchFull()) this.#startAppending();
    else this.#cancelTimer ??= this.#clock.timer(this.#limits.lingerMs, () => this.#startAppending());
    while (this.#waitingBytes > this.#limits.waitingBytesMax) {
      await this.#roomMade.promise;
      this.#throwFailure();
    }
  }

  /** Resolves when everything accepted is acknowledged. Throws what an append ended with. */
  async flush(): Promise<void> {
    this.#startAppending();
    while (this.#appending !== null) await this.#appending;
    this.#throwFailure();
  }

  #add(record: ProducerRecord, timestampMs: number): void {
    const key = typeof record.key === 'string' ? textEncoder.encode(record.key) : record.key;
    const value = typeof record.value === 'string' ? textEncoder.encode(record.value) : record.value;
    const bytes = (key?.byteLength ?? 0) + (value?.byteLength ?? 0) + RECORD_OVERHEAD_BYTES;
    const count = this.#queues.length;
    const queue = this.#queues[key === null ? this.#nextKeyless++ % count : partitionOfKey(key, count)];
    assert(queue !== undefined, () => 'a record belongs to one of the partitions');
    let open = queue.at(-1);
    if (open === undefined || open.bytes + bytes > this.#limits.batchBytes) {
      open = { records: [], bytes: 0 };
      queue.push(open);
    }
    open.records.push({ key, value, timestampMs });
    open.bytes += bytes;
    this.#waitingBytes += bytes;
  }

  #isBatchFull(): boolean {
    return this.#queues.some((queue) => queue.length > 1);
  }

  #startAppending(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#appending ??= this.#appendAll().finally(() => {
      this.#appending = null;
    });
  }

  async #appendAll(): Promise<void> {
    try {
      for (let next = this.#takeAppends(); next.appends.length > 0; next = this.#takeAppends()) {
        await this.#writer.append(next.appends, alwaysPermitted);
        this.#sentRecords += next.recordCount;
        this.#waitingBytes -= next.bytes;
        this.#announceRoom();
      }
    } catch (error) {
      this.#failure = { error };
      this.#announceRoom();
    }
  }

  #takeAppends(): { readonly appends: readonly LogAppend[]; readonly recordCount: number; readonly bytes: number } {
    const appends: LogAppend[] = [];
    let recordCount = 0;
    let bytes = 0;
    for (const [index, queue] of this.#queues.entries()) {
      const batch = queue.shift();
      if (batch === undefined) continue;
      appends.push({ topic: this.#topic, partition: partitionIndex(index), batch: encodeRecordBatch(batch.records) });
      recordCount += batch.records.length;
      bytes += batch.bytes;
    }
    return { appends, recordCount, bytes };
  }

  #announceRoom(): void {
    const made = this.#roomMade;
    this.#roomMade = Promise.withResolvers<void>();
    made.resolve();
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }
}
