/** Spark's Structured Streaming, driven from Python as most of its users do: what to install, how it is started. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Coordinate } from '../install.ts';
import { mavenJars, pythonWith } from '../install.ts';

export interface SparkVersion {
  readonly name: 'spark' | 'spark35';
  readonly version: string;
  readonly packages: readonly string[];
  /** Taken alone: the rest is in Spark. */
  readonly jars: readonly Coordinate[];
  /** Taken with all they need. */
  readonly jarsWithAll: readonly Coordinate[];
}

export const spark4: SparkVersion = {
  name: 'spark',
  version: '4.2.0',
  packages: ['pyspark==4.2.0'],
  jars: [
    'org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0',
    'org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.0.0',
    'org.apache.kafka:kafka-clients:3.9.1',
    'org.apache.commons:commons-pool2:2.12.1',
  ],
  jarsWithAll: [],
};

export const spark35: SparkVersion = {
  name: 'spark35',
  version: '3.5.7',
  packages: ['pyspark==3.5.7', 'setuptools'],
  jars: [
    'org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.7',
    'org.apache.spark:spark-token-provider-kafka-0-10_2.12:3.5.7',
    'org.apache.kafka:kafka-clients:3.4.1',
    'org.apache.commons:commons-pool2:2.11.1',
  ],
  jarsWithAll: ['com.datastax.spark:spark-cassandra-connector_2.12:3.5.1'],
};

/** Jars that Spark has itself, in another version than the connector asks for. */
const OF_SPARK = /^(scala-|spark-core|spark-sql_|jackson-|slf4j-|netty-)/;

/** Installs what is missing. The `python` and the jars to give to Spark. Throws PeerMissing. */
export function installSpark(spark: SparkVersion): { readonly python: string; readonly jars: readonly string[] } {
  const python = pythonWith(`spark-${spark.version}`, spark.packages);
  const folders = [mavenJars(`spark-${spark.version}`, spark.jars, true)];
  if (spark.jarsWithAll.length > 0) folders.push(mavenJars(`spark-${spark.version}-more`, spark.jarsWithAll));
  const jars = folders.flatMap((folder, index) =>
    readdirSync(join(folder, 'lib'))
      .filter((file) => file.endsWith('.jar') && (index === 0 || !OF_SPARK.test(file)))
      .map((file) => join(folder, 'lib', file)),
  );
  return { python, jars };
}
