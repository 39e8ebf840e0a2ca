/**
 * Runs Kafka and Cassandra in the foreground for people: `node test/services/main.ts`, then copy the lines it prints
 * into another terminal. Ctrl-C ends both and removes their data.
 */
import { startCassandra, startKafka } from './services.ts';

const startedAt = Date.now();
const since = (): string => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;

const [kafka, cassandra] = await Promise.all([
  startKafka().then((service) => {
    console.error(`# Kafka answers after ${since()}; log ${service.logPath}`);
    return service;
  }),
  startCassandra().then((service) => {
    console.error(`# Cassandra answers after ${since()}; log ${service.logPath}`);
    return service;
  }),
]);
console.log(`export KAFKA_BROKERS=${kafka.address}`);
console.log(`export CASSANDRA_CONTACT_POINTS=${cassandra.address}`);

// The servers do not keep this process alive by themselves.
const alive = setInterval(() => undefined, 60_000);
let ending = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (ending) process.exit(1);
    ending = true;
    clearInterval(alive);
    void Promise.all([kafka.dispose(), cassandra.dispose()]).then(() => process.exit(0));
  });
}
