/** Appends events and marks to the pretend Kafka and remembers them. Event times follow virtual time, out of order. */
import type { Simulation } from '../kernel.ts';
import { SIM_EPOCH_MS } from '../kernel.ts';
import type { SimRng } from '../rng.ts';
import type { SimLogServer } from '../sim-log.ts';
import type { SimPlace } from '../sim-place.ts';

export const EVENTS = 'events';
export const MARKS = 'marks';
/** The topic that a feed fills. */
export const FED = 'fed';

export interface Produced {
  readonly topic: string;
  readonly id: string;
  readonly k: number;
  readonly v: number;
  /** Event time, ms. */
  readonly t: number;
  /** `topic/partition`. */
  readonly place: string;
  readonly offset: number;
}

const encoder = new TextEncoder();
const DISORDER_MS = 2000;
/** Values of `k`: from 0 on. */
export const KEYS = 12;
const VALUES = 9;

export class EpochProducer {
  readonly records: Produced[] = [];
  readonly #sim: Simulation;
  readonly #log: SimLogServer;
  readonly #place: SimPlace;
  readonly #rng: SimRng;
  readonly #placeRng: SimRng;
  #made = 0;

  constructor(sim: Simulation, log: SimLogServer, place: SimPlace, partitions: number) {
    this.#sim = sim;
    this.#log = log;
    this.#place = place;
    this.#rng = sim.rng.fork('epoch producer');
    this.#placeRng = sim.rng.fork('epoch place');
    log.createTopic(EVENTS, partitions);
    log.createTopic(MARKS, Math.max(1, partitions - 1));
    log.createTopic(FED, 1);
  }

  /** A few rows come to the place behind the feed: the topic that it fills is to have them once, in their order. */
  come(): void {
    for (let count = this.#placeRng.int(1, 8); count > 0; count--) {
      const offset = this.#place.rows.length;
      const record: Produced = {
        topic: FED,
        id: `f${offset}`,
        k: this.#placeRng.int(0, KEYS),
        v: this.#placeRng.int(0, VALUES),
        t: this.#now,
        place: `${FED}/0`,
        offset,
      };
      this.#place.rows.push({ id: record.id, value: valueOf(record) });
      this.records.push(record);
    }
  }

  /** Appends a few records to a random partition of a random topic. */
  produce(): void {
    const topic = this.#rng.chance(0.75) ? EVENTS : MARKS;
    const partition = this.#rng.int(0, this.#log.topic(topic).partitions.length);
    const count = this.#rng.chance(0.1) ? this.#rng.int(10, 30) : this.#rng.int(1, 5);
    this.#append(topic, partition, count, this.#now);
  }

  /** Puts an hour's records, and the last ones up to now, into one partition: the others begin where it ends. */
  backlog(): void {
    for (const topic of [EVENTS, MARKS]) {
      const partition = this.#rng.int(0, this.#log.topic(topic).partitions.length);
      for (let minute = 60; minute > 0; minute--)
        this.#append(topic, partition, this.#rng.int(1, 3), this.#now - minute * 60_000);
    }
  }

  /** A record in every partition of the topics so far ahead that everything before becomes final. Its event time, ms. */
  finish(aheadMs: number, topics: readonly string[]): number {
    const t = this.#now + aheadMs;
    for (const topic of topics)
      for (const partition of this.#log.topic(topic).partitions.keys()) this.#append(topic, partition, 1, this.#now, t);
    return t;
  }

  get #now(): number {
    return SIM_EPOCH_MS + Math.floor(this.#sim.now);
  }

  /** One batch; without `t` the events happened a little before they were appended. */
  #append(topic: string, partition: number, count: number, timestampMs: number, t?: number): void {
    const first = this.#log.partition(topic, partition).end;
    const records = Array.from({ length: count }, (_, index): Produced => {
      const id = `${topic[0] ?? ''}${this.#made++}`;
      const at = t ?? timestampMs - this.#rng.int(0, DISORDER_MS);
      const [k, v] = [this.#rng.int(0, KEYS), this.#rng.int(0, VALUES)];
      return { topic, id, k, v, t: at, place: `${topic}/${partition}`, offset: first + index };
    });
    this.#log.append(
      topic,
      partition,
      records.map((record) => ({
        key: null,
        value: valueOf(record),
        timestampMs,
      })),
    );
    this.records.push(...records);
  }
}

function valueOf({ id, k, v, t }: Produced): Uint8Array {
  return encoder.encode(JSON.stringify({ id, k, v, t: new Date(t).toISOString() }));
}
