/** The floor of writing into Cassandra: rows from memory through the driver's own batches. */
import { fileURLToPath } from 'node:url';
import type { System } from '../../throughput.ts';
import { warmUpRecords } from '../../run-meter.ts';
import type { PeerJob } from '../run-peer.ts';
import { runPeer } from '../run-peer.ts';

const program = fileURLToPath(new URL('writer-main.ts', import.meta.url));

export interface BareJob extends PeerJob {
  readonly contactPoint: string;
  readonly seed: number;
}

export function bareWriterSystem(job: BareJob): System {
  return {
    name: 'floor',
    version: 'cassandra-driver, unlogged batches of 50, 8 under way, rows made beforehand',
    warmUp: `process started before each round; warm figures leave out the first ${warmUpRecords(job.records)} records`,
    run: async (index) => {
      await job.prepare?.(index);
      const { keyspace, table } = job.settings?.(index) ?? {};
      const where = [job.contactPoint, String(keyspace), String(table), String(job.seed), String(job.records)];
      const args = ['--disable-warning=ExperimentalWarning', '--max-old-space-size=8192', program, ...where];
      return await runPeer('the bare writer', process.execPath, args, job, index);
    },
  };
}
