/**
 * Options of Spark's readers and writers, and what says the same here: hints for those who write Spark's spelling, and the
 * tables of docs/migration.md. Options that have the same name here stand in the tables only.
 *
 * Source: Spark's Structured Streaming + Kafka integration guide; the reference of the Spark Cassandra Connector.
 */
export type SparkPlace = 'kafkaSource' | 'kafkaSink' | 'cassandraSink' | 'query';

export interface SparkOption {
  readonly place: SparkPlace;
  /** As Spark spells it; compared without regard to case, as Spark does. */
  readonly name: string;
  /** What is written here instead; empty = nothing is needed. */
  readonly here: string;
  /** What is to be known besides; a clause. */
  readonly note: string;
}

const of =
  (place: SparkPlace) =>
  (name: string, here: string, note = ''): SparkOption => ({ place, name, here, note });
const source = of('kafkaSource');
const sink = of('kafkaSink');
const cassandra = of('cassandraSink');
const query = of('query');

export const sparkOptions: readonly SparkOption[] = [
  source('format', 'connector: kafka', 'format: here says what a record holds: json, csv, avro, protobuf, text, raw'),
  source('subscribe', 'topic: NAME', 'a source per topic; UNION ALL in the query brings several together'),
  source('subscribePattern', 'topic: NAME', 'there are no patterns: a source per topic'),
  source('assign', 'topic: NAME', 'all partitions are read; new ones from their beginning'),
  source('kafka.bootstrap.servers', 'brokers: host:port', 'or KAFKA_BROKERS for the whole cluster, the usual way'),
  source('kafka.group.id', '', 'the display group is named like the job; positions are kept with the job'),
  source('groupIdPrefix', '', 'the display group is named like the job; positions are kept with the job'),
  source('kafka.security.protocol', '', 'KAFKA_SSL, KAFKA_SASL_MECHANISM and their like, for the processes'),
  source('startingOffsets', 'startingOffsets: earliest', 'or latest; for offsets per partition: weir offsets set'),
  source('startingTimestamp', 'startingOffsets: { timestamp: … }', 'ISO 8601 with a zone'),
  source('startingOffsetsByTimestamp', 'startingOffsets: { timestamp: … }', 'one time for all partitions'),
  source('endingOffsets', 'trigger: availableNow', 'the end is where the topic ends at the start'),
  source('failOnDataLoss', 'failOnDataLoss: false', 'or onDataLoss: skip; what was lost is counted and told'),
  source('maxOffsetsPerTrigger', 'maxOffsetsPerTrigger: 10000', 'stateful jobs; others take what a fetch brings'),
  source('minOffsetsPerTrigger', 'minOffsetsPerTrigger: 10000', 'stateful jobs'),
  source('maxTriggerDelay', 'maxTriggerDelay: 15m', 'stateful jobs'),
  source('minPartitions', '', 'threads share the batches of a partition by themselves'),
  source('includeHeaders', '', 'name the column headers in the query'),
  source('kafkaConsumer.pollTimeoutMs', '', 'fetches wait by themselves'),
  source('fetchOffset.numRetries', '', 'asked again until it answers, with a growing pause'),
  sink('topic', 'topic: NAME', 'a column topic that names one per row is not offered'),
  sink('kafka.bootstrap.servers', '', 'KAFKA_BROKERS'),
  sink('includeHeaders', '', 'records carry an id header by which copies can be told'),
  cassandra('format', 'connector: cassandra', 'org.apache.spark.sql.cassandra'),
  cassandra('keyspace', 'keyspace: NAME'),
  cassandra('table', 'table: NAME', 'create: true makes it, with primaryKey'),
  cassandra('spark.cassandra.connection.host', '', 'CASSANDRA_CONTACT_POINTS for the processes'),
  cassandra('spark.cassandra.auth.username', '', 'CASSANDRA_USERNAME and CASSANDRA_PASSWORD for the processes'),
  cassandra('spark.cassandra.connection.localDC', '', 'CASSANDRA_LOCAL_DC for the processes'),
  cassandra('spark.cassandra.output.ignoreNulls', 'ignoreNulls: true'),
  cassandra('spark.cassandra.output.consistency.level', '', 'LOCAL_QUORUM, the default of the connector'),
  cassandra('spark.cassandra.output.batch.grouping.key', '', 'rows are grouped by partition and replica'),
  cassandra('spark.cassandra.output.concurrent.writes', '', 'in-flight batches follow the nodes'),
  cassandra('spark.cassandra.output.throughputMBPerSec', '', 'a slow Cassandra slows the reading, in bytes'),
  cassandra('spark.cassandra.output.timestamp', '', 'rows carry a write time of their own: it makes replays harmless'),
  cassandra('spark.cassandra.output.ttl', '', 'default_time_to_live of the table'),
  cassandra('ttl', '', 'default_time_to_live of the table'),
  cassandra('confirm.truncate', '', 'complete mode deletes the rows that left the result, one by one'),
  query('checkpointLocation', '', 'positions and state are kept by the cluster; weir import-checkpoint takes one over'),
  query('queryName', 'name: my-job', 'a-z, 0-9 and -'),
  query('outputMode', 'outputMode: append', 'append, update or complete'),
  query('trigger', 'trigger: 10s', 'asap (default), a duration, availableNow, manual'),
  query('processingTime', 'trigger: 10s'),
  query('availableNow', 'trigger: availableNow', 'with schedule: it starts by itself'),
  query('once', 'trigger: availableNow', 'as Spark advises too'),
  query('continuous', 'trigger: asap', 'a record is on its way when it arrives'),
  query('withWatermark', 'watermark: { column: ts, delay: 10s }', 'at the source, or FROM … WATERMARK in the query'),
  query('spark.sql.shuffle.partitions', '', 'state has 256 key groups, which move between workers'),
  query('spark.sql.session.timeZone', 'timeZone: Europe/Berlin', 'UTC unless set'),
  query('partitionBy', 'partitionBy: [city]', 'of sinks of files'),
];

/** What to write instead of an option of Spark at a place of a job file; undefined where Spark has none of that name. */
export function sparkHint(name: string, places: readonly SparkPlace[]): string | undefined {
  const found = sparkOptions.find((option) => places.includes(option.place) && same(option.name, name));
  if (found === undefined) return undefined;
  const instead = found.here === '' ? "Spark's option is not needed here" : `Spark's option is ${found.here} here`;
  return found.note === '' ? instead : `${instead}: ${found.note}`;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
