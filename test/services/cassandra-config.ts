/** How the tests' Cassandra node is set up: one node, loopback only, quick to start, made for Java 17. */
import { join } from 'node:path';
import { LOOPBACK } from './java-server.ts';
import type { JvmUse } from './jvm.ts';
import { jvmFlags } from './jvm.ts';

const PAUSE_MS = 300;

export interface CassandraPlaces {
  readonly directory: string;
  readonly port: number;
  readonly storagePort: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Text of cassandra.yaml. */
export function cassandraConfig({ directory, port, storagePort, settings }: CassandraPlaces): string {
  const place = (name: string): string => JSON.stringify(join(directory, 'data', name));
  const all: Record<string, string> = {
    cluster_name: 'weir-test',
    num_tokens: '1',
    partitioner: 'org.apache.cassandra.dht.Murmur3Partitioner',
    endpoint_snitch: 'SimpleSnitch',
    seed_provider: `[{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: '${LOOPBACK}:${storagePort}'}]}]`,
    listen_address: LOOPBACK,
    storage_port: String(storagePort),
    rpc_address: LOOPBACK,
    start_native_transport: 'true',
    native_transport_port: String(port),
    ...(settings['commitlog_sync'] === undefined
      ? { commitlog_sync: 'periodic', commitlog_sync_period: '10000ms' }
      : {}),
    commitlog_segment_size: '32MiB',
    commitlog_directory: place('commitlog'),
    data_file_directories: `[${place('data')}]`,
    saved_caches_directory: place('saved_caches'),
    hints_directory: place('hints'),
    cdc_raw_directory: place('cdc_raw'),
    // A quorum read or write settles what is in flight with two round trips instead of four.
    paxos_variant: 'v2',
    paxos_state_purging: 'gc_grace',
    // Writers group rows by replica set; on one node these limits would only fill the log with warnings.
    batch_size_warn_threshold: '1024KiB',
    batch_size_fail_threshold: '4096KiB',
    unlogged_batch_across_partitions_warn_threshold: '10000',
    auto_snapshot: 'false',
    memtable_heap_space: '96MiB',
    memtable_offheap_space: '96MiB',
    key_cache_size: '8MiB',
    concurrent_compactors: '1',
    ...settings,
  };
  return Object.entries(all)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

/** Settings under which a write is acknowledged after it was synced, together with others of the same 10 ms. */
export const groupCommit = { commitlog_sync: 'group', commitlog_sync_group_window: '10ms' } as const;

export interface CassandraProcess {
  readonly heapMb: number;
  readonly jvm: JvmUse;
  /** Path of the jamm jar. */
  readonly agent: string;
  readonly yaml: string;
  readonly logback: string;
  readonly directory: string;
}

/** Arguments of the JVM but for class path and main class. */
export function cassandraJvmArgs({ heapMb, jvm, agent, yaml, logback, directory }: CassandraProcess): string[] {
  return [
    `-Xms${heapMb}m`,
    `-Xmx${heapMb}m`,
    ...jvmFlags(jvm, PAUSE_MS),
    '-XX:+ExitOnOutOfMemoryError',
    '-XX:MaxDirectMemorySize=512m',
    '-Xss512k',
    ...exportedPackages.flatMap((name) => ['--add-exports', `${name}=ALL-UNNAMED`]),
    ...openedPackages.flatMap((name) => ['--add-opens', `${name}=ALL-UNNAMED`]),
    '-Djdk.attach.allowAttachSelf=true',
    `-javaagent:${agent}`,
    '-Djava.io.tmpdir=' + directory,
    `-Dcassandra.config=file://${yaml}`,
    `-Dlogback.configurationFile=${logback}`,
    `-Dcassandra.storagedir=${join(directory, 'data')}`,
    '-Dcassandra-foreground=yes',
    // One node waits for nobody.
    '-Dcassandra.superuser_setup_delay_ms=0',
    '-Dcassandra.skip_wait_for_gossip_to_settle=0',
    '-Dcassandra.ring_delay_ms=1',
    '-Dcassandra.skip_schema_check=true',
  ];
}

const exportedPackages = [
  'java.base/jdk.internal.misc',
  'java.base/jdk.internal.ref',
  'java.base/sun.nio.ch',
  'java.base/java.lang.ref',
  'java.management.rmi/com.sun.jmx.remote.internal.rmi',
  'java.rmi/sun.rmi.registry',
  'java.rmi/sun.rmi.server',
  'java.sql/java.sql',
  'jdk.attach/sun.tools.attach',
  'jdk.unsupported/sun.misc',
];

const openedPackages = [
  'java.base/java.io',
  'java.base/java.lang',
  'java.base/java.lang.module',
  'java.base/java.nio',
  'java.base/java.util',
  'java.base/java.util.concurrent',
  'java.base/java.util.concurrent.atomic',
  'java.base/jdk.internal.loader',
  'java.base/jdk.internal.math',
  'java.base/jdk.internal.module',
  'java.base/jdk.internal.ref',
  'java.base/jdk.internal.reflect',
  'java.base/jdk.internal.util.jar',
  'java.base/sun.nio.ch',
  'jdk.management/com.sun.management.internal',
];

/** Everything worth reading goes to the server's output. */
export const logbackConfig = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{ISO8601} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
`;
