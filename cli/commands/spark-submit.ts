/**
 * `weir spark-submit …`: takes the command lines that people and Airflow have for Spark's standalone master. What has a
 * meaning here is mapped, the rest is named in a warning. The application is a job file.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { WeirError } from '../../core/errors.ts';
import { formatJobDocument, parseJobDocument } from '../../core/job/document.ts';
import { MasterClient } from '../client.ts';
import { exitCodes } from '../exit.ts';
import { readJobFile, renderJobProblems } from '../job-files.ts';
import { jobPath } from '../names.ts';
import { print, tell } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { target } from '../settings.ts';
import { jobNameOf, property, usedProperties } from '../spark/properties.ts';
import { WEIR_VERSION } from '../version.ts';

interface SparkLine {
  /** Flags with a value, the last one of each. */
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  readonly properties: ReadonlyMap<string, string>;
  /** The application and its arguments. */
  readonly rest: readonly string[];
}

interface Submission {
  readonly success: boolean;
  readonly submissionId?: string;
  readonly driverState?: string;
  readonly message?: string;
}

/** Flags with a value (deploy/SparkSubmitArguments.scala) and why one is not used; '' = it is. */
const valueFlags = new Map<string, string>([
  ['--master', ''],
  ['--deploy-mode', ''],
  ['--name', ''],
  ['--conf', ''],
  ['--properties-file', ''],
  ['--kill', ''],
  ['--status', ''],
  ['--num-executors', ''],
  ['--total-executor-cores', 'the threads of the workers are used; scale with --num-executors'],
  ['--executor-cores', 'a worker uses all its threads (weir worker --threads)'],
  ['--driver-cores', 'there is no driver'],
  ['--driver-memory', 'there is no driver'],
  ['--executor-memory', 'memory is bounded by the worker'],
  ['--driver-java-options', 'there is no Java'],
  ['--driver-library-path', 'there is no Java'],
  ['--driver-class-path', 'there is no Java'],
  ['--class', 'the job file says what runs'],
  ['--jars', 'connectors are built in'],
  ['--packages', 'connectors are built in'],
  ['--exclude-packages', 'connectors are built in'],
  ['--repositories', 'connectors are built in'],
  ['--py-files', 'the job file says what runs'],
  ['--files', 'the job file says what runs'],
  ['--archives', 'the job file says what runs'],
  ['--principal', 'set the credentials of the workers'],
  ['--keytab', 'set the credentials of the workers'],
  ['--proxy-user', 'the token says who submits'],
  ['--queue', 'there are no queues'],
  ['--remote', 'use --address'],
]);
const switchFlags = new Map<string, string>([
  ['--supervise', 'jobs are always supervised'],
  ['--verbose', ''],
  ['--version', ''],
  ['--help', ''],
]);
const shortFlags = new Map([
  ['-c', '--conf'],
  ['-v', '--verbose'],
  ['-h', '--help'],
]);

const POLL_MS = 1000;

/** Returns the exit code. Throws: USAGE, what the master answers. */
export async function sparkSubmit(args: readonly string[], options: GlobalOptions): Promise<number> {
  const line = parseSparkLine(args);
  if (line.switches.has('--help')) {
    print(helpText());
    return exitCodes.ok;
  }
  if (line.switches.has('--version')) {
    print(`weir ${WEIR_VERSION}, in the place of Spark`);
    return exitCodes.ok;
  }
  const client = new MasterClient(target({ ...options, ...addressOf(line, options) }));
  const kill = line.values.get('--kill');
  if (kill !== undefined)
    return answer(await client.request('POST', `/v1/submissions/kill/${encodeURIComponent(kill)}`));
  const status = line.values.get('--status');
  if (status !== undefined)
    return answer(await client.request('GET', `/v1/submissions/status/${encodeURIComponent(status)}`));
  warnOfUnused(line);
  return await submit(client, line);
}

/** Flags that do something, then those that are taken and why they do nothing. */
function helpText(): string {
  const used: readonly (readonly [string, string])[] = [
    ['--master URL', 'spark://host:7077 (its REST interface on 7080) or http://host:7080'],
    ['--deploy-mode MODE', 'client (stays until the job ends) or cluster (prints the submission id)'],
    ['--name NAME', 'of the job, instead of the one in the file'],
    ['--conf, -c KEY=VALUE', [...usedProperties].join(', ')],
    ['--properties-file FILE', 'the same, a line each'],
    ['--num-executors N', 'how many workers the job may use'],
    ['--status ID, --kill ID', 'ask for or stop a submission'],
    ['--version, --help', ''],
  ];
  const unused = [...valueFlags, ...switchFlags].filter(([, why]) => why !== '');
  const list = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map(([flag, text]) => `  ${flag.padEnd(26)}${text}`.trimEnd()).join('\n');
  return [
    'Usage: weir spark-submit [flags] FILE',
    '',
    "takes the flags of Spark's spark-submit; the application is a job file",
    '',
    'Used:',
    list(used),
    '',
    'Taken, without effect:',
    list(unused),
  ].join('\n');
}

/** Throws: USAGE for a flag that Spark does not have either. */
export function parseSparkLine(args: readonly string[]): SparkLine {
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const properties = new Map<string, string>();
  let at = 0;
  for (; at < args.length && args[at]?.startsWith('-') === true && args[at] !== '-'; at++) {
    const given = args[at] ?? '';
    const [written = '', inline] = given.startsWith('--') && given.includes('=') ? cutAt(given, '=') : [given];
    const flag = shortFlags.get(written) ?? written;
    if (switchFlags.has(flag)) switches.add(flag);
    else if (!valueFlags.has(flag)) throw new WeirError('USAGE', `spark-submit has no flag ${written}.`);
    else {
      const value = inline ?? args[++at];
      if (value === undefined) throw new WeirError('USAGE', `${written} takes a value.`);
      if (flag === '--conf') properties.set(...property(value));
      else values.set(flag, value);
    }
  }
  const fromFile = values.get('--properties-file');
  const all = new Map([...(fromFile === undefined ? [] : readProperties(fromFile)), ...properties]);
  return { values, switches, properties: all, rest: args.slice(at) };
}

function cutAt(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Java's properties as Spark's files use them: `key value`, `key=value`, `#` before comments. */
function readProperties(path: string): [string, string][] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new WeirError('NOT_FOUND', `The file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, {
      cause,
    });
  }
  return text.split('\n').flatMap((line): [string, string][] => {
    const [, key, value] = /^\s*([^#!\s=:][^\s=:]*)\s*[=:\s]\s*(.*?)\s*$/.exec(line) ?? [];
    return key === undefined ? [] : [[key, value ?? '']];
  });
}

/** `spark://host:7077` is the master's REST interface on its own port. */
function addressOf({ values }: SparkLine, { address }: GlobalOptions): { readonly address?: string } {
  const master = values.get('--master');
  if (address !== undefined || master === undefined) return {};
  const [, hosts] = /^spark:\/\/(.+)$/.exec(master) ?? [];
  if (hosts !== undefined) {
    const addresses = hosts.split(',').map((host) => `http://${host.replace(/:(6066|7077)$/, ':7080')}`);
    return process.env['WEIR_ADDRESS'] === undefined ? { address: addresses.join(',') } : {};
  }
  if (/^https?:\/\//.test(master)) return { address: master };
  if (!/^local(\[|$)/.test(master))
    throw new WeirError(
      'USAGE',
      `--master ${master} is none of Weir's; write spark://host:7080 or an http:// address.`,
    );
  tell(`warning: --master ${master}: the job goes to a running cluster; "weir run" runs it in processes of its own`);
  return {};
}

function warnOfUnused({ values, switches, properties }: SparkLine): void {
  const unused: ReadonlyMap<string, string> = new Map([...valueFlags, ...switchFlags]);
  for (const flag of [...values.keys(), ...switches]) {
    const why = unused.get(flag);
    if (why !== undefined && why !== '') tell(`warning: ${flag} is not used: ${why}`);
  }
  for (const key of properties.keys()) if (!usedProperties.has(key)) tell(`warning: --conf ${key} is not used`);
}

async function submit(client: MasterClient, { values, properties, rest }: SparkLine): Promise<number> {
  const [path, ...args] = rest;
  if (path === undefined) throw new WeirError('USAGE', 'Name the job file: weir spark-submit [flags] FILE.');
  if (/\.(py|jar|R)$/.test(path))
    throw new WeirError(
      'UNSUPPORTED',
      `${path} is a program for Spark; write its query as a job file (docs/sql.md) and submit that.`,
    );
  if (args.length > 0) tell(`warning: arguments of the application are not used: ${args.join(' ')}`);
  const file = readJobFile(path);
  const document = parseJobDocument(file.text);
  const name = values.get('--name') ?? properties.get('spark.app.name');
  const timeZone = properties.get('spark.sql.session.timeZone');
  const changed = {
    ...document,
    ...(name === undefined ? {} : { name: jobNameOf(name) }),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
  const isSame = name === undefined && timeZone === undefined;
  const outcome = await client.apply(changed.name, isSame ? file.text : formatJobDocument(changed), { dryRun: false });
  if (outcome.kind === 'refused') {
    tell(renderJobProblems(file, outcome.problems));
    return exitCodes.invalid;
  }
  for (const warning of outcome.warnings) tell(`warning: ${warning}`);
  const executors = values.get('--num-executors') ?? properties.get('spark.executor.instances');
  if (executors !== undefined && /^[1-9]\d*$/.test(executors))
    await client.request('POST', `${jobPath(outcome.name)}/scale`, { workers: Number(executors) });
  const submitted = await client.request<Submission>(
    'GET',
    `/v1/submissions/status/${encodeURIComponent(outcome.name)}`,
  );
  tell(`Submission successfully created as ${submitted.submissionId}; job ${outcome.name}`);
  print(submitted.submissionId ?? outcome.name);
  if (values.get('--deploy-mode') === 'cluster') return exitCodes.ok;
  return await follow(client, outcome.name);
}

/** Client mode, Spark's default: until the job ends, or Ctrl-C leaves it to itself. */
async function follow(client: MasterClient, name: string): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  for (let last = ''; !stop.signal.aborted;) {
    const { row } = await client.job(name);
    if (row.state !== last) tell(`${name} is ${row.state}${row.reason === null ? '' : `: ${row.reason.message}`}`);
    last = row.state;
    if (row.state === 'finished' || row.state === 'stopped') return exitCodes.ok;
    if (row.state === 'failed') return exitCodes.failed;
    await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  tell(`${name} goes on; "weir stop ${name}" stops it`);
  return exitCodes.interrupted;
}

/** As Spark prints it: Airflow's hook looks for `"driverState" : "…"`. */
function answer(submission: Submission): number {
  const lines = Object.entries(submission).map(([key, value]) => `  "${key}" : ${JSON.stringify(value)}`);
  print(`{\n${lines.join(',\n')}\n}`);
  return submission.success ? exitCodes.ok : exitCodes.notFound;
}
