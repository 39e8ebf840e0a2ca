/** What `npm run bench -- main-job` takes. */
import { parseArgs } from 'node:util';

export const benchSinks = ['blackhole', 'cassandra', 'kafka'] as const;
export type BenchSink = (typeof benchSinks)[number];

export interface MainJobOptions {
  /** Records of the throughput phase. */
  readonly records: number;
  readonly sinks: readonly BenchSink[];
  /** `real`: Apache Kafka, and Cassandra where rows go there; `embedded`: neither. */
  readonly store: 'embedded' | 'real';
  readonly partitions: number;
  readonly seed: number;
  /** Records per second of the latency phase; 0 leaves it out. */
  readonly rate: number;
  readonly latencySeconds: number;
  /** Threads of the worker; null = one per core. */
  readonly threads: number | null;
}

export const usage = `npm run bench -- main-job [--records N] [--sink blackhole|cassandra|kafka|all] [--store embedded|real]
                          [--partitions N] [--seed N] [--rate N] [--latency-seconds N] [--threads N]`;

/** Throws a TypeError for what does not exist. */
export function parseMainJobOptions(args: readonly string[]): MainJobOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      records: { type: 'string', default: '4000000' },
      sink: { type: 'string', default: 'all' },
      store: { type: 'string', default: 'real' },
      partitions: { type: 'string', default: '4' },
      seed: { type: 'string', default: '1' },
      rate: { type: 'string', default: '10000' },
      'latency-seconds': { type: 'string', default: '30' },
      threads: { type: 'string' },
    },
  });
  const sinks = values.sink === 'all' ? benchSinks : benchSinks.filter((sink) => values.sink.split(',').includes(sink));
  if (sinks.length === 0) throw new TypeError(`there is no sink ${values.sink}`);
  if (values.store !== 'embedded' && values.store !== 'real') throw new TypeError(`there is no store ${values.store}`);
  return {
    records: wholeNumber('records', values.records),
    sinks,
    store: values.store,
    partitions: wholeNumber('partitions', values.partitions),
    seed: wholeNumber('seed', values.seed),
    rate: wholeNumber('rate', values.rate),
    latencySeconds: wholeNumber('latency-seconds', values['latency-seconds']),
    threads: values.threads === undefined ? null : wholeNumber('threads', values.threads),
  };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`--${name} is ${text}; it takes a whole number`);
  return value;
}
