/**
 * Runs the tests: `all` (default) starts real Kafka and Cassandra once for every file that needs them; `unit` is the
 * part without servers. Further words pick files whose path contains one of them. Closes with `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import type { Service } from '../test/services/services.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const folders = [
  'core',
  'engine',
  'connectors',
  'proto',
  'master',
  'worker',
  'sdk',
  'cli',
  'jobs',
  'ui',
  'scripts',
  'test',
  'bench',
];
/** Files that start processes of their own, or use servers. */
const withProcesses = /\.(it|e2e)\.test\.ts$/;
/** Of these, the ones that use Kafka or Cassandra: these run one at a time, the others two at a time before. */
const withServers = (file: string): boolean =>
  withProcesses.test(file) && /from '[^']*\/services\.ts'/.test(readFileSync(file, 'utf8'));
/** On virtual time or none: they take long, and do not mind how long. They run at the lowest priority beside what waits for servers. */
const patient = /^test\/(sim|model)\//;
/** Lanes that need more than Node, Java and Maven; they have commands of their own. */
const apart = /^test\/(compose|ui|ops|api|connect)\//;

const [lane = 'all', ...words] = process.argv.slice(2);
if (lane !== 'all' && lane !== 'unit' && lane !== 'patient') {
  process.stderr.write(`no such lane: ${lane}; 'all', 'unit' and 'patient' exist\n`);
  process.exit(2);
}

const files = folders
  .flatMap((folder) => globSync(`${folder}/**/*.test.ts`))
  .filter((file) => !apart.test(file) && (lane !== 'unit' || !withProcesses.test(file)))
  .filter((file) => lane !== 'patient' || patient.test(file))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const served = files.filter(withServers);
const beside = served.length > 0 ? files.filter((file) => !withServers(file) && patient.test(file)) : [];
const together = files.filter((file) => !withServers(file) && !beside.includes(file));

const totals = { passed: 0, failed: 0, skipped: 0 };

/** `concurrency`: files at a time. */
async function runFiles(some: readonly string[], concurrency: number): Promise<void> {
  if (some.length === 0) return;
  const stream = run({ files: [...some], concurrency, execArgv: ['--disable-warning=ExperimentalWarning'] });
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite') return;
    if (event.skip !== undefined || event.todo !== undefined) totals.skipped++;
    else totals.passed++;
  });
  stream.on('test:fail', (event) => {
    const { error } = event.details;
    // A test whose only mistake is a failed subtest is not one more.
    if (!('failureType' in error) || error.failureType !== 'subtestsFailed') totals.failed++;
  });
  const report = stream.compose(new spec());
  report.pipe(process.stdout, { end: false });
  await finished(report);
}

/** Those files in a process of its own; what it prints and counts is told at its end. */
function runBeside(): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'patient', ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const [, passed = '0', failed = '0', skipped = '0'] =
        /(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\n$/.exec(output) ?? [];
      totals.passed += Number(passed);
      // One that ended without its last line has not done what it was to do.
      totals.failed += Number(failed) === 0 && code !== 0 ? 1 : Number(failed);
      totals.skipped += Number(skipped);
      process.stdout.write(output.replace(/\n\d+ passed, .*\n$/, ''));
      resolve();
    });
  });
}

await runFiles(together, 2);
const done = beside.length > 0 ? runBeside() : Promise.resolve();
if (served.length > 0) {
  const { startCassandra, startKafka } = await import('../test/services/services.ts');
  const services: Service[] = [];
  try {
    for (const started of await Promise.allSettled([startKafka(), startCassandra()])) {
      if (started.status === 'rejected') throw started.reason;
      services.push(started.value);
    }
    process.env['WEIR_TEST_KAFKA'] = services[0]?.address ?? '';
    process.env['WEIR_TEST_CASSANDRA'] = services[1]?.address ?? '';
    await runFiles(served, 1);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    totals.failed += served.length;
  } finally {
    await Promise.all(services.map((service) => service.dispose()));
  }
}

await done;
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : '';
process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed${skipped}\n`);
process.exit(totals.failed > 0 || totals.passed === 0 ? 1 : 0);
