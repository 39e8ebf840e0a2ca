/** The command tree: processes. */
import type { DevOptions } from '../dev/options.ts';
import type { Add } from './add.ts';

/** Commands that run processes. */
export function addProcessCommands(add: Add): void {
  add<Readonly<Record<string, string | undefined>>>('master', 'run a master', async (_, options) => {
    await (await import('../commands/processes.ts')).runMasterProcess(options);
  })
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--port <port>', 'port for workers, gRPC (env WEIR_GRPC_PORT, default 7077)')
    .option('--http-port <port>', 'port for REST and the web page (env WEIR_HTTP_PORT, default 7080)')
    .option('--tls', 'TLS on loopback too; elsewhere it is on (env WEIR_TLS)')
    .option('--insecure', 'no TLS off loopback, where the network is trusted (env WEIR_INSECURE)');
  add<Readonly<Record<string, string | undefined>>>('worker', 'run a worker', async (_, options) => {
    await (await import('../commands/processes.ts')).runWorkerProcess(options);
  })
    .option('--master <address>', 'the master, host:7077, or several with commas (env WEIR_MASTER)')
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--http-port <port>', 'port for health and metrics (env WEIR_HTTP_PORT, default 7081)')
    .option(
      '--exchange-port <port>',
      'port for rows from other workers (env WEIR_EXCHANGE_PORT, default: any free one)',
    )
    .option(
      '--threads <count>',
      'threads for stage code (env WEIR_THREADS, default: one per core but one, at least one)',
    )
    .option('--name <name>', 'name in lists and logs (env WEIR_WORKER_NAME)')
    .option('--join <token>', 'a token of "weir token create NAME --role worker" (env WEIR_JOIN_TOKEN)')
    .option('--insecure', 'no TLS off loopback, where the network is trusted (env WEIR_INSECURE)');
  add<Readonly<Record<string, string | undefined>>>(
    'embedded',
    'run the process that plays Kafka and Cassandra',
    async (_, options) => {
      await (await import('../commands/processes.ts')).runEmbeddedProcess(options);
    },
  )
    .option('--host <address>', 'address to listen on (env WEIR_HOST, default 127.0.0.1)')
    .option('--port <port>', 'port to listen on, gRPC (env WEIR_EMBEDDED_PORT, default 7079)')
    .option('--data <dir>', 'keep data there; without it they live in memory');
  add<DevOptions>(
    'dev',
    'run a whole cluster with the example jobs on this machine (= npm start)',
    async (_, options) => {
      return await (await import('../dev/dev.ts')).dev(options);
    },
  )
    .option('--data <dir>', 'keep data there and go on where they stand; without it they live in memory')
    .option('--rate <n>', 'users produced per second', '1000')
    .option('--workers <n>', 'worker processes', '2')
    .option('--no-producers', 'start no producers')
    .option('--no-jobs', 'submit no jobs')
    .option('--port <port>', 'REST and web page', '7080')
    .option('--grpc-port <port>', 'master for workers', '7077')
    .option('--embedded-port <port>', 'embedded topics and tables', '7079')
    .option('--seed <text>', 'seed of the produced data');
  add<Readonly<Record<string, string | undefined>>>(
    'produce <topic|file...>',
    'write lines to a topic, a record each; or run producers of test data: jobs/producers/*.ts',
    async (names, options) => {
      await (await import('../commands/processes.ts')).runProducerProcess(names, options);
    },
  )
    .option('-i, --input <file>', 'lines for the topic; without it standard input')
    .option('--key <field>', 'field of each line, a JSON object, that becomes the key of its record')
    .option('--partitions <n>', 'of the topic, where it is missing', '4')
    .option('--rate <n>', 'records per second; 0 = as fast as it goes')
    .option('--count <n>', 'end after so many records')
    .option('--seed <text>', 'the same seed gives the same records');
}
