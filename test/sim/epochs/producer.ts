/** Appends events and marks to the pretend Kafka and remembers them. Event times follow virtual time, out of order. */
import type { Simulation } from '../kernel.ts';
import { SIM_EPOCH_MS } from '../kernel.ts';
import type { SimRng } from '../rng.ts';
import type { SimLogServer } from '../sim-log.ts';

export const EVENTS = 'events';
export const MARKS = 'marks';

export interface Produced {
  readonly topic: string;
  readonly id: string;
  readonly k: number;
  readonly v: number;
  /** Event time, ms. */
  readonly t: number;
}

const encoder = new TextEncoder();
const DISORDER_MS = 2000;
const KEYS = 12;
const VALUES = 9;

export class EpochProducer {
  readonly records: Produced[] = [];
  readonly #sim: Simulation;
  readonly #log: SimLogServer;
  readonly #rng: SimRng;
  #made = 0;

  constructor(sim: Simulation, log: SimLogServer, partitions: number) {
    this.#sim = sim;
    this.#log = log;
    this.#rng = sim.rng.fork('epoch producer');
    log.createTopic(EVENTS, partitions);
    log.createTopic(MARKS, Math.max(1, partitions - 1));
  }

  /** Appends a few records to a random partition of a random topic. */
  produce(): void {
    const topic = this.#rng.chance(0.75) ? EVENTS : MARKS;
    const partition = this.#rng.int(0, this.#log.topic(topic).partitions.length);
    const count = this.#rng.chance(0.1) ? this.#rng.int(10, 30) : this.#rng.int(1, 5);
    const now = SIM_EPOCH_MS + Math.floor(this.#sim.now);
    this.#append(
      topic,
      partition,
      Array.from({ length: count }, () => this.#record(topic, now - this.#rng.int(0, DISORDER_MS))),
    );
  }

  /** A record in every partition so far ahead that everything before becomes final. Its event time, ms. */
  finish(aheadMs: number): number {
    const t = SIM_EPOCH_MS + Math.floor(this.#sim.now) + aheadMs;
    for (const topic of [EVENTS, MARKS])
      for (const partition of this.#log.topic(topic).partitions.keys())
        this.#append(topic, partition, [this.#record(topic, t)]);
    return t;
  }

  #record(topic: string, t: number): Produced {
    const id = `${topic[0] ?? ''}${this.#made++}`;
    return { topic, id, k: this.#rng.int(0, KEYS), v: this.#rng.int(0, VALUES), t };
  }

  #append(topic: string, partition: number, records: readonly Produced[]): void {
    const now = SIM_EPOCH_MS + Math.floor(this.#sim.now);
    this.#log.append(
      topic,
      partition,
      records.map(({ id, k, v, t }) => ({
        key: null,
        value: encoder.encode(JSON.stringify({ id, k, v, t: new Date(t).toISOString() })),
        timestampMs: now,
      })),
    );
    this.records.push(...records);
  }
}
