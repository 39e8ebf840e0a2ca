/**
 * A log in memory with transactions, for tests of whoever writes by them: topics, producers that fence one another, and
 * positions of groups that are committed with the records. Every call takes a turn, so that others come in between, and
 * a failpoint may keep a writer from going on.
 */
import { WeirError } from '../../core/errors.ts';
import { GatheredTransactions } from '../../core/gathered-transactions.ts';
import type { Offset, Partition } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { LogAppend, LogWriter } from '../../core/ports.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import { systemClock } from '../../connectors/system/clock.ts';
import { ByteBuffer } from '../../engine/byte-buffer.ts';
import { decodeBatch, RecordIndex } from '../../engine/codecs/decode-records.ts';

interface Position {
  readonly offset: Offset;
  readonly note: string;
}

/** A transaction of one producer. */
interface Open {
  readonly epoch: number;
  readonly records: { readonly place: string; readonly batch: Uint8Array }[];
  position: (Position & { readonly place: string }) | null;
}

/** What the brokers hold. */
export class MemoryLog {
  readonly writer: LogWriter = new MemoryLogWriter(this);
  readonly #partitions = new Map<string, number>();
  readonly #committed = new Map<string, Uint8Array[]>();
  readonly #positions = new Map<string, Position>();
  readonly #epochs = new Map<string, number>();
  readonly #open = new Map<string, Open>();

  createTopic(topic: string, partitions: number): void {
    if (!this.#partitions.has(topic)) this.#partitions.set(topic, partitions);
  }

  partitionCount(topic: string): number {
    const count = this.#partitions.get(topic);
    if (count === undefined) throw new WeirError('TOPIC_NOT_FOUND', `there is no topic ${topic}`);
    return count;
  }

  append(topic: string, partition: number, batch: Uint8Array): void {
    this.partitionCount(topic);
    this.#add(`${topic}/${partition}`, batch);
  }

  /** Values of the records that a reader of committed records sees, in order. */
  committed(topic: string, partition: number): string[] {
    return (this.#committed.get(`${topic}/${partition}`) ?? []).flatMap(valuesOf);
  }

  /** Aborts what is open under the id; the new producer's epoch. */
  takeOver(id: string): number {
    const epoch = (this.#epochs.get(id) ?? -1) + 1;
    this.#epochs.set(id, epoch);
    this.#open.delete(id);
    return epoch;
  }

  position(group: string, place: string): Position | undefined {
    return this.#positions.get(`${group} ${place}`);
  }

  produce(id: string, epoch: number, place: string, batch: Uint8Array): void {
    this.#transaction(id, epoch).records.push({ place, batch: batch.slice() });
  }

  addPosition(id: string, epoch: number, group: string, place: string, position: Position): void {
    this.#transaction(id, epoch).position = { ...position, place: `${group} ${place}` };
  }

  end(id: string, epoch: number, commits: boolean): void {
    const { records, position } = this.#transaction(id, epoch);
    this.#open.delete(id);
    if (!commits) return;
    for (const { place, batch } of records) this.#add(place, batch);
    if (position !== null) this.#positions.set(position.place, position);
  }

  #add(place: string, batch: Uint8Array): void {
    this.#committed.set(place, [...(this.#committed.get(place) ?? []), batch.slice()]);
  }

  #transaction(id: string, epoch: number): Open {
    if (this.#epochs.get(id) !== epoch) throw new WeirError('FENCED', `another producer took ${id} over`);
    const open = this.#open.get(id) ?? { epoch, records: [], position: null };
    this.#open.set(id, open);
    return open;
  }
}

class MemoryLogWriter implements LogWriter {
  readonly #log: MemoryLog;

  constructor(log: MemoryLog) {
    this.#log = log;
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#log.partitionCount(topic);
  }

  async append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    permit.check();
    for (const { topic, partition, batch } of appends) this.#log.append(topic, partition, batch);
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    this.#log.createTopic(topic, partitions);
  }

  async openTransactions(plan: LogTransactionPlan, parts: LogTransactionParts): Promise<LogTransactions> {
    await turn();
    parts.permit.check();
    const epoch = this.#log.takeOver(plan.id);
    await turn();
    const found = plan.groups
      .map((group) => this.#log.position(group, placeOf(plan.source)))
      .find((position) => position?.note === plan.note);
    const transactions = new MemoryTransactions(this.#log, plan, parts, epoch);
    return new GatheredTransactions({
      clock: systemClock,
      position: found?.offset ?? null,
      commitIntervalMs: plan.commitIntervalMs,
      transact: async (...transaction) => await transactions.transact(...transaction),
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class MemoryTransactions {
  readonly #log: MemoryLog;
  readonly #plan: LogTransactionPlan;
  readonly #parts: LogTransactionParts;
  readonly #epoch: number;

  constructor(log: MemoryLog, plan: LogTransactionPlan, parts: LogTransactionParts, epoch: number) {
    this.#log = log;
    this.#plan = plan;
    this.#parts = parts;
    this.#epoch = epoch;
  }

  async transact(appends: readonly LogAppend[], to: Offset, check: () => void): Promise<void> {
    const { id, groups, source, note } = this.#plan;
    const { failpoints } = this.#parts;
    await failpoints.hit('transaction.beforeProduce');
    for (const { topic, partition, batch } of appends) {
      await this.#request(check, () => this.#log.produce(id, this.#epoch, `${topic}/${partition}`, batch));
      // As Kafka's writer does: the memory is the writer's.
      batch.fill(0);
    }
    await failpoints.hit('transaction.afterProduce');
    const position = { offset: to, note };
    await this.#request(check, () => this.#log.addPosition(id, this.#epoch, groups[0], placeOf(source), position));
    await failpoints.hit('transaction.beforeCommit');
    await this.#request(check, () => this.#log.end(id, this.#epoch, true));
    await failpoints.hit('transaction.afterCommit');
  }

  async #request(check: () => void, send: () => void): Promise<void> {
    await turn();
    check();
    this.#parts.permit.check();
    send();
    await turn();
  }
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: Partition }): string {
  return `${topic}/${partition}`;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function valuesOf(bytes: Uint8Array): string[] {
  return readBatchHeaders(bytes).flatMap(({ start, end }) => {
    const arena = new ByteBuffer();
    const records = new RecordIndex();
    const fromOffset = 0;
    const batch = {
      start,
      end,
      baseOffset: 0,
      baseTimeUs: 0,
      stride: 1,
      fromOffset,
      toOffset: Number.MAX_SAFE_INTEGER,
    };
    decodeBatch(bytes, batch, arena, records);
    return Array.from({ length: records.count }, (_, row) => {
      const from = records.valueStart[row] ?? 0;
      return new TextDecoder().decode(arena.bytes.subarray(from, from + (records.valueLength[row] ?? 0)));
    });
  });
}
