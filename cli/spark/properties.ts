/** What Spark's properties (`--conf KEY=VALUE`) mean for a job here. */
import { WeirError } from '../../core/errors.ts';
import { tell } from '../output.ts';

/** Those that do something. */
export const usedProperties: ReadonlySet<string> = new Set([
  'spark.app.name',
  'spark.sql.session.timeZone',
  'spark.executor.instances',
]);

/** `KEY=VALUE` of one --conf. Throws: USAGE. */
export function property(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new WeirError('USAGE', `--conf takes KEY=VALUE, not ${text}.`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** What a job is submitted with. */
export interface SparkSettings {
  readonly name?: string;
  /** Places of the job file and what stands there instead, as --set takes them. */
  readonly settings: readonly string[];
  /** How many workers the job may use. */
  readonly workers?: number;
}

/**
 * Of `--conf`: Spark's names mean what they mean to `weir spark-submit`, those that mean nothing here are named in a
 * warning, and every other key is a place of the job file. Throws: USAGE.
 */
export function settingsOf(conf: readonly string[]): SparkSettings {
  const properties = new Map(conf.map(property));
  const name = properties.get('spark.app.name');
  const timeZone = properties.get('spark.sql.session.timeZone');
  const executors = properties.get('spark.executor.instances');
  if (executors !== undefined && !/^[1-9]\d{0,3}$/.test(executors))
    throw new WeirError('USAGE', `--conf spark.executor.instances=${executors}: it takes a number of workers from 1.`);
  const places: string[] = [];
  for (const [key, value] of properties) {
    if (!key.startsWith('spark.')) places.push(`${key}=${value}`);
    else if (!usedProperties.has(key)) tell(`warning: --conf ${key} is not used`);
  }
  return {
    ...(name === undefined ? {} : { name: jobNameOf(name) }),
    settings: [...(timeZone === undefined ? [] : [`timeZone=${JSON.stringify(timeZone)}`]), ...places],
    ...(executors === undefined ? {} : { workers: Number(executors) }),
  };
}

/** A name for people as the name of a job; says so when it is another. Throws: USAGE. */
export function jobNameOf(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 63);
  if (name === '') throw new WeirError('USAGE', `"${text}" has no letter that the name of a job could be made of.`);
  if (name !== text) tell(`warning: the job is called ${name}`);
  return name;
}
