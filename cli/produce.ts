/** `weir produce FILE`: runs a producer (see sdk/producer.ts) over Kafka or the embedded log. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../core/clock.ts';
import { WeirError, messageOf } from '../core/errors.ts';
import type { Log, LogWriter } from '../core/ports.ts';
import { seededRng } from '../core/random.ts';
import type { Producer, ProducerArgs } from '../sdk/producer.ts';
import { pause } from '../sdk/producer.ts';
import { RecordBatcher } from './record-batcher.ts';

export interface ProduceOptions {
  readonly producer: Producer;
  /** What the command line gave; the rest is filled in: the producer's own rate, no end. */
  readonly args: { readonly seed: number } & Partial<ProducerArgs>;
  readonly writer: LogWriter;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the producer: what it has handed over is still written. */
  readonly signal: AbortSignal;
}

const PROGRESS_INTERVAL_MS = 10_000;
const TOPIC_RETRY_MS = 500;

/**
 * The producer that a file exports by default.
 *
 * Throws: NOT_FOUND when the file cannot be loaded, CONFIG_INVALID when it exports no producer.
 */
export async function loadProducer(file: string): Promise<Producer> {
  let module: { readonly default?: Partial<Producer> };
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as typeof module;
  } catch (error) {
    throw new WeirError('NOT_FOUND', `The producer ${file} cannot be loaded: ${messageOf(error)}`, { cause: error });
  }
  const producer = module.default;
  if (typeof producer?.run !== 'function' || producer.topic === undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      `${file} exports no producer; it needs "export default defineProducer({ … })".`,
    );
  }
  return producer as Producer;
}

/**
 * Runs a producer until it is done or `signal` is aborted; resolves with the number of records acknowledged. Waits for
 * a log that does not answer yet.
 *
 * Throws: what the producer throws; SINK_REFUSED, UNAUTHORIZED from the log.
 */
export async function produce(options: ProduceOptions): Promise<number> {
  const { producer, writer, clock, signal } = options;
  const log = options.log.child({ producer: producer.name, topic: producer.topic });
  const args: ProducerArgs = {
    rate: options.args.rate ?? producer.defaultRate,
    seed: options.args.seed,
    count: options.args.count ?? Number.POSITIVE_INFINITY,
    settings: options.args.settings ?? new Map<string, string>(),
  };
  const partitionCount = await prepareTopic(options, log);
  if (partitionCount === undefined) return 0;
  const batcher = new RecordBatcher(writer, producer.topic, partitionCount, clock);
  log.info({ rate: args.rate, seed: args.seed, partitions: partitionCount }, 'producing');
  const reported = new AbortController();
  const reporting = reportProgress(batcher, clock, log, AbortSignal.any([signal, reported.signal]));
  try {
    const send = async (topic: string, records: Parameters<RecordBatcher['send']>[0]): Promise<void> => {
      if (topic !== producer.topic) {
        throw new WeirError(
          'CONFIG_INVALID',
          `Producer ${producer.name} declares topic ${producer.topic} and sends to ${topic}.`,
        );
      }
      await batcher.send(records);
    };
    await producer.run({ args, clock, rng: seededRng(args.seed), signal, log, send });
    await batcher.flush();
  } finally {
    reported.abort();
    await reporting;
  }
  log.info({ records: batcher.sentRecords }, 'done');
  return batcher.sentRecords;
}

/** Creates the topic; tries again while the log does not answer. undefined = stopped meanwhile. */
async function prepareTopic(options: ProduceOptions, log: Log): Promise<number | undefined> {
  const { producer, writer, clock, signal } = options;
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await writer.createTopic(producer.topic, producer.partitions);
      return await writer.partitionCount(producer.topic);
    } catch (error) {
      if (!(error instanceof WeirError && error.retryable)) throw error;
      if (attempt % 20 === 0) log.warn({ code: error.code }, `waiting for the log: ${error.message}`);
      await pause(clock, TOPIC_RETRY_MS, signal);
    }
  }
  return undefined;
}

async function reportProgress(batcher: RecordBatcher, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  let before = 0;
  while (!signal.aborted) {
    await pause(clock, PROGRESS_INTERVAL_MS, signal);
    if (signal.aborted) return;
    const records = batcher.sentRecords;
    log.info({ records, recordsPerSecond: Math.round(((records - before) * 1000) / PROGRESS_INTERVAL_MS) }, 'produced');
    before = records;
  }
}
