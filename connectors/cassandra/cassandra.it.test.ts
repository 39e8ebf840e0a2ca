/** The contract suites and the failures of a real node. */
import { after, before, describe, test } from 'node:test';
import { metaStoreContract } from '../../test/conformance/meta-store.ts';
import { CassandraClient, cassandraOptionsFromEnv } from './client.ts';
import { CassandraMetaStore } from './meta-store.ts';
import { tableStoreContract } from '../../test/conformance/table-store.ts';
import { CassandraTableStore } from './table-store.ts';

const options = cassandraOptionsFromEnv(process.env)!;
metaStoreContract('Cassandra', async () => {
  const clients = [new CassandraClient(options), new CassandraClient(options)] as const;
  return {
    store: new CassandraMetaStore(clients[0]),
    second: new CassandraMetaStore(clients[1]),
    close: async () => { await Promise.all(clients.map((client) => client.close())); },
  };
});
for (const fastBatches of [true, false]) {
  tableStoreContract(`Cassandra, ${fastBatches ? 'own batches' : "the driver's batches"}`, async () => {
    const client = new CassandraClient(options);
    const store = new CassandraTableStore(client, { fastBatches });
    return { store, close: () => client.close() };
  });
}
