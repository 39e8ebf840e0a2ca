/** Appends generated records to the pretend Kafka while a simulation runs, and remembers which record is where. */
import type { RecordToEncode } from '../../core/record-batch-encoder.ts';
import type { GeneratedRecord, GeneratorConfig } from '../support/generator.ts';
import { generate, valueOf } from '../support/generator.ts';
import type { Simulation } from './kernel.ts';
import { SIM_EPOCH_MS } from './kernel.ts';
import type { SimRng } from './rng.ts';
import { SIM_TOPIC } from './sim-job.ts';
import type { SimLogServer } from './sim-log.ts';

const textEncoder = new TextEncoder();

export class Producer {
  readonly #sim: Simulation;
  readonly #log: SimLogServer;
  readonly #rng: SimRng;
  readonly #config: GeneratorConfig;
  /** By partition: visible records in the order of their offsets. */
  readonly #records: { readonly offset: number; readonly record: GeneratedRecord }[][] = [];
  readonly #byOffset: Map<number, GeneratedRecord>[] = [];
  readonly #next: number[] = [];
  readonly #withTransactions: boolean;
  #phantoms = 0;

  constructor(sim: Simulation, log: SimLogServer, config: GeneratorConfig, withTransactions: boolean) {
    this.#sim = sim;
    this.#log = log;
    this.#rng = sim.rng.fork('producer');
    this.#config = config;
    this.#withTransactions = withTransactions;
  }

  /** Visible records of a partition in the order of their offsets. */
  records(partition: number): readonly { readonly offset: number; readonly record: GeneratedRecord }[] {
    return this.#records[partition] ?? [];
  }

  at(partition: number, offset: number): GeneratedRecord | undefined {
    return this.#byOffset[partition]?.get(offset);
  }

  /** Appends something to a random partition. */
  produce(): void {
    const partition = this.#rng.int(0, this.#log.topic(SIM_TOPIC).partitions.length);
    if (this.#withTransactions && this.#rng.chance(0.15)) this.#transaction(partition);
    else this.#plain(partition);
  }

  #plain(partition: number): void {
    const records = this.#take(partition);
    const base = this.#log.append(
      SIM_TOPIC,
      partition,
      records.map((record) => this.#encode(record)),
    );
    this.#remember(partition, base, records);
  }

  /** Some batches, others' batches in between, and the end. An aborted transaction's records must never be seen. */
  #transaction(partition: number): void {
    const commit = this.#rng.chance(0.5);
    const batches = Array.from({ length: this.#rng.int(1, 4) }, () =>
      commit ? this.#take(partition) : this.#takePhantoms(partition),
    );
    const bases = this.#log.appendTransaction(
      SIM_TOPIC,
      partition,
      batches.map((records) => records.map((record) => this.#encode(record))),
      commit,
      () => {
        if (this.#rng.chance(0.5)) this.#plain(partition);
      },
    );
    if (commit) for (const [index, records] of batches.entries()) this.#remember(partition, bases[index] ?? 0, records);
  }

  #take(partition: number): GeneratedRecord[] {
    const size = this.#rng.chance(0.2) ? this.#rng.int(10, 40) : this.#rng.int(1, 6);
    return Array.from({ length: size }, () => {
      const seq = this.#next[partition] ?? 0;
      this.#next[partition] = seq + 1;
      return generate(this.#config, partition, seq);
    });
  }

  /** Records of a generator of their own: their ids are in no expectation. */
  #takePhantoms(partition: number): GeneratedRecord[] {
    return Array.from({ length: this.#rng.int(1, 5) }, () => {
      const record = generate(this.#config, partition, 1_000_000 + this.#phantoms++);
      return { ...record, id: `phantom-${record.id}` };
    });
  }

  /** Producers' clocks are up to 3 s off either way, and some say nothing. */
  #encode(record: GeneratedRecord): RecordToEncode {
    const value = valueOf(record);
    const skew = this.#rng.unit() * 6000 - 3000;
    const timestampMs = this.#rng.chance(0.02) ? -1 : Math.floor(SIM_EPOCH_MS + this.#sim.now + skew);
    return { key: textEncoder.encode(record.k), value: value === null ? null : textEncoder.encode(value), timestampMs };
  }

  #remember(partition: number, base: number, records: readonly GeneratedRecord[]): void {
    const list = (this.#records[partition] ??= []);
    const byOffset = (this.#byOffset[partition] ??= new Map());
    for (const [index, record] of records.entries()) {
      list.push({ offset: base + index, record });
      byOffset.set(base + index, record);
    }
    list.sort((a, b) => a.offset - b.offset);
  }
}
