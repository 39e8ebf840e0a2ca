/** Runs a streaming query on a real Spark, as the bench's peers are installed: PyPI, Maven Central, Java 17. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SparkVersion } from '../../../bench/peers/spark/spark.ts';
import { installSpark } from '../../../bench/peers/spark/spark.ts';

const script = fileURLToPath(new URL('query.py', import.meta.url));

export interface SparkQuery {
  readonly kind: 'project' | 'window' | 'fails' | 'files' | 'union';
  readonly brokers: string;
  readonly topic: string;
  /** The second topic of `union`. */
  readonly other?: string;
  /** The folder that `files` reads. */
  readonly input?: string;
  readonly checkpoint: string;
  /** Where rows go, as JSON files. */
  readonly output: string;
  readonly conf?: Readonly<Record<string, string>>;
}

/** Until the query has taken what is there; see query.py. Throws PeerMissing; what Spark says when it fails. */
export async function runSparkQuery(spark: SparkVersion, query: SparkQuery): Promise<void> {
  const { python, jars } = installSpark(spark);
  const settings = JSON.stringify({ ...query, jars: jars.join(',') });
  await promisify(execFile)(python, [script, settings], { maxBuffer: 1 << 26 });
}

/** The rows of a query's output. */
export function outputRows(output: string): readonly Readonly<Record<string, unknown>>[] {
  return readdirSync(output)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => readFileSync(join(output, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}
