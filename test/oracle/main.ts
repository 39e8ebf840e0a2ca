/**
 * `node test/oracle/main.ts [--seed N] [--runs M] [--inputs K] [--show L]`: random jobs against SQLite, one per seed with
 * K inputs. Prints the first L that do not agree, made small, with the command that repeats each; the exit code is 1
 * when there was one.
 */
import { parseArgs } from 'node:util';
import { checkSeed } from './check-seed.ts';

const usage = 'usage: node test/oracle/main.ts [--seed N] [--runs M] [--inputs K] [--show L]';
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '1' },
    inputs: { type: 'string', default: '6' },
    show: { type: 'string', default: '10' },
  },
});
const [first, runs, inputs, show] = [values.seed, values.runs, values.inputs, values.show].map(Number) as [
  number,
  number,
  number,
  number,
];
if (![first, runs, inputs, show].every((value) => Number.isSafeInteger(value) && value >= 0)) throw new Error(usage);

let failed = 0;
let passed = 0;
const started = performance.now();
for (let seed = first; seed < first + runs; seed++) {
  const outcome = checkSeed(seed, inputs, failed < show);
  passed += outcome.passed;
  if (outcome.failure === null) continue;
  failed += 1;
  if (failed <= show) process.stdout.write(`${outcome.failure}\n\n`);
}
const seconds = (performance.now() - started) / 1000;
process.stdout.write(
  `${passed} pairs of job and input agree, ${failed} jobs do not; ${seconds.toFixed(1)} s, ${(process.cpuUsage().user / 1e6).toFixed(1)} s of CPU\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
