/** `scale`: the noop job on 1, 2 and 4 workers of one thread each, on the same cores: what more workers cost per record. */
import { expectedProjection } from './data/expected-users.ts';
import { median, round } from './measure/statistics.ts';
import { PROJECTION, projectionCheck } from './noop.ts';
import type { SuiteDefaults, SuiteOptions } from './suite-options.ts';
import type { Run } from './run-meter.ts';
import { RoundsInTime, note, print } from './throughput.ts';
import { clusterWithUsers, usersJob } from './users-topic.ts';
import { runWeir } from './weir-run.ts';

export const defaults: SuiteDefaults = { records: 8_000_000, rounds: 3, peers: [] };

const WORKERS = [1, 2, 4] as const;
/** Most that a record may cost more than with one worker. */
const COST_LIMIT = 1.15;

/** False when a result was wrong. */
export async function bench(options: SuiteOptions): Promise<boolean> {
  const { records, seed } = options;
  const expected = expectedProjection(seed, records);
  await using cluster = await clusterWithUsers(options);
  const runs = new Map<number, Run[]>(WORKERS.map((workers) => [workers, []]));
  const rounds = new RoundsInTime(options);
  for (let index = 0; rounds.next(); index++) {
    for (const workers of WORKERS) {
      const run = await runWeir(
        {
          cluster,
          name: (at) => `scale-${workers}-${at}`,
          text: (name) => usersJob({ name, query: PROJECTION, sink: '{ connector: blackhole }' }),
          records,
          threads: 1,
          workers,
          check: async (name, counters) => await projectionCheck(cluster, name, counters, records, expected),
        },
        index,
      );
      runs.get(workers)?.push(run);
      note(`${workers} workers, round ${index + 1}: ${round(run.cpu.user + run.cpu.system, 2)} CPU-seconds`);
    }
  }
  const costs = new Map<number, number>();
  for (const [workers, of] of runs) {
    const perRecordUs = (run: Run): number => (run.warm.cpuSeconds / run.warm.records) * 1e6;
    const cost = median(of.map(perRecordUs));
    costs.set(workers, cost);
    print({
      bench: 'scale',
      system: 'weir',
      workers,
      records,
      rounds: of.length,
      cpuUsPerRecordWarm: round(cost, 3),
      recordsPerCpuSecondWarm: Math.round(1e6 / cost),
      recordsPerSecond: Math.round(median(of.map((run) => records / run.wallSeconds))),
      peakRssMb: Math.round(median(of.map((run) => run.peakRssBytes)) / 1024 / 1024),
      ...of.at(-1)?.more,
      problems: of.flatMap((run) => run.problems),
    });
  }
  const one = costs.get(1) ?? Number.NaN;
  const most = Math.max(...costs.values()) / one;
  print({ bench: 'scale', figure: 'cpuUsPerRecordWarm', ratio: round(most, 3), limit: COST_LIMIT });
  return [...runs.values()].flat().every((run) => run.problems.length === 0);
}
