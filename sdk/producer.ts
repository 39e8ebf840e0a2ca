/**
 * Producers: small programs that write records to a topic, run by `weir produce FILE`. A producer's file exports one
 * by default:
 *
 *   export default defineProducer({ name: 'users', topic: 'users_created', partitions: 4, run: async (context) => … });
 */
import type { Clock, Rng } from '../core/clock.ts';
import { WeirError } from '../core/errors.ts';
import type { Log } from '../core/ports.ts';

export type { Clock, Rng } from '../core/clock.ts';
export type { Log } from '../core/ports.ts';
export { seededRng } from '../core/random.ts';

/** Key and value as text (written as UTF-8) or bytes. A null key goes to any partition; a null value deletes. */
export interface ProducerRecord {
  readonly key: string | Uint8Array | null;
  readonly value: string | Uint8Array | null;
}

export interface ProducerArgs {
  /** Records per second; 0 = as fast as the log takes them. */
  readonly rate: number;
  /** Decides everything random; the same seed makes the same records. */
  readonly seed: number;
  /** Records to send in all; Infinity = go on until stopped. */
  readonly count: number;
  /** Further settings, from `--set name=value`. */
  readonly settings: ReadonlyMap<string, string>;
}

export interface ProducerContext {
  readonly args: ProducerArgs;
  readonly clock: Clock;
  /** Seeded by `args.seed`. */
  readonly rng: Rng;
  /** Aborted when the producer has to end: return soon after. Records accepted until then are still sent. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /**
   * Accepts records for sending; order is kept per key. Resolves when there is room for more, which is backpressure:
   * await it. Everything accepted is durable when the producer has ended without an error.
   *
   * Throws: what sending earlier records ended with (SINK_REFUSED, TOPIC_NOT_FOUND).
   */
  send(topic: string, records: readonly ProducerRecord[]): Promise<void>;
}

export interface Producer {
  readonly name: string;
  /** Created with so many partitions when it is missing. */
  readonly topic: string;
  readonly partitions: number;
  /** Records per second when the command line does not say. */
  readonly defaultRate: number;
  /** Ends when everything is sent or `signal` is aborted. */
  readonly run: (context: ProducerContext) => Promise<void>;
}

export type ProducerDefinition = Omit<Producer, 'defaultRate'> & { readonly defaultRate?: number };

const topicPattern = /^[A-Za-z0-9._-]{1,249}$/;

/**
 * Checks a producer's definition.
 *
 * Throws: CONFIG_INVALID.
 */
export function defineProducer(definition: ProducerDefinition): Producer {
  const { name, topic, partitions, defaultRate = 0 } = definition;
  if (!topicPattern.test(topic))
    throw new WeirError('CONFIG_INVALID', `Producer ${name}: "${topic}" cannot be the name of a topic.`);
  if (!Number.isInteger(partitions) || partitions < 1) {
    throw new WeirError(
      'CONFIG_INVALID',
      `Producer ${name}: partitions is ${partitions}; it must be a whole number from 1.`,
    );
  }
  return { ...definition, defaultRate };
}

/** Most records of one step of {@link paced}. */
const STEP_RECORDS_MAX = 2000;
/** Shortest pause between two steps, ms: timers are not finer. */
const STEP_MS_MIN = 1;

/**
 * Calls `emit` with how many records are due, at `args.rate` per second from the start on, until `args.count` are sent
 * or the signal is aborted. The rate is open-loop: a slow log does not slow the clock, what is late is sent as soon as
 * possible.
 */
export async function paced(
  context: ProducerContext,
  emit: (count: number, firstIndex: number) => Promise<void>,
): Promise<void> {
  const { args, clock, signal } = context;
  const startedAt = clock.mono();
  let sent = 0;
  while (sent < args.count && !signal.aborted) {
    const due = args.rate > 0 ? Math.floor(((clock.mono() - startedAt) * args.rate) / 1000) - sent : STEP_RECORDS_MAX;
    if (due <= 0) {
      const nextAt = startedAt + ((sent + 1) * 1000) / args.rate;
      await pause(clock, Math.max(STEP_MS_MIN, nextAt - clock.mono()), signal);
      continue;
    }
    const count = Math.min(due, STEP_RECORDS_MAX, args.count - sent);
    await emit(count, sent);
    sent += count;
  }
}

/** Sleeps, or less when the signal is aborted; never throws for that. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
