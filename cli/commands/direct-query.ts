/** `weir query` without a master: on the tables that the environment names. */
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import type { QueryResult } from '../../core/ports.ts';

/** Throws: what {@link TableStore.query} throws. */
export async function queryDirectly(cql: string): Promise<QueryResult> {
  const connections = makeConnections(process.env, {
    clock: systemClock,
    rng: systemRng,
    log: makeLog('query', 'error'),
  });
  try {
    return await connections.tables('cassandra', {}).query(cql);
  } finally {
    await connections.close();
  }
}
