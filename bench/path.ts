/**
 * `path`: what the way of a record costs in a thread, step by step: nanoseconds of CPU per record of the suite's users,
 * without Kafka, messages and sinks. Each step is measured over the same megabytes, by itself or as the difference
 * between two that differ by it alone.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { round } from './measure/statistics.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import { note, print } from './throughput.ts';

/** What is measured by itself. The stages decode and scan too, and `map` all before the fold. */
const measuredSteps = ['decode', 'scan 2', 'scan 5', 'scan 12', 'noop', 'cassandra', 'kafka', 'map', 'fold'] as const;
export type Step = (typeof measuredSteps)[number];

const program = fileURLToPath(new URL('path/measure-main.ts', import.meta.url));

export const defaults: SuiteDefaults = { records: 64_000, rounds: 1, peers: [] };

/** False when a step could not be measured. */
export function bench({ records, seed }: SuiteOptions): Promise<boolean> {
  const problems: string[] = [];
  const of = Object.fromEntries(
    measuredSteps.map((step) => {
      const run = spawnSync(process.execPath, [program, step, String(records), String(seed)], { encoding: 'utf8' });
      if (run.status !== 0) problems.push(`${step}: ${run.stderr}`);
      note(`path: ${step}: ${run.stdout} ns`);
      return [step, Number(run.stdout)];
    }),
  ) as Record<Step, number>;
  const nanos = {
    'checksum, decompression, record boundaries': of.decode,
    'JSON to columns: 2 of 12 fields, one of them a time': of['scan 2'] - of.decode,
    'JSON to columns: 5 fields': of['scan 5'] - of.decode,
    'JSON to columns: 12 fields, two of them times': of['scan 12'] - of.decode,
    'noop: filter, projection of 5, hash of every value': of.noop - of['scan 5'],
    'cassandra: filter, capitals, bind bytes of 12': of.cassandra - of['scan 12'],
    'kafka: filter, capitals, 12 as JSON in record batches': of.kafka - of['scan 12'],
    'count: filter, windows, keys, partial counts, frames': of.map - of['scan 2'],
    'count: fold into the state, results': of.fold,
  };
  const steps = Object.fromEntries(Object.entries(nanos).map(([name, value]) => [name, round(value, 1)]));
  print({ bench: 'path', system: 'weir', records, steps, measured: of, problems });
  return Promise.resolve(problems.length === 0);
}
