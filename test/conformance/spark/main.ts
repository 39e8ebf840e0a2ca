/**
 * `npm run conformance -- FILE.json [--only NAME] [--workers N]`: runs every case of a file on a cluster of its own; one
 * line a case, closing with `N passed, N failed`. The exit code is 1 when one failed, 2 when the command is wrong.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../core/errors.ts';
import { SteppedCluster } from '../../../cli/testing/stepped-cluster.ts';
import { parseCases } from './cases.ts';
import type { Verdict } from './judge.ts';
import { judgeStreamCase } from './judge.ts';
import { judgeKafkaPlan } from './kafka-plan.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, workers: { type: 'string', default: '1' } },
});
const [file] = positionals;
if (file === undefined) {
  process.stderr.write('usage: npm run conformance -- FILE.json [--only NAME] [--workers N]\n');
  process.exit(2);
}
const cases = parseCases(readFileSync(file, 'utf8'));
const chosen = cases.filter((one) => values.only === undefined || one.name.includes(values.only));
if (chosen.length === 0) {
  process.stderr.write(`no case of ${file} is called ${values.only ?? ''}\n`);
  process.exit(2);
}

let cluster: SteppedCluster | undefined;
const totals = { passed: 0, failed: 0 };
try {
  for (const [index, one] of chosen.entries()) {
    let verdict: Verdict;
    try {
      if (one.kind === 'kafkaPlan') verdict = judgeKafkaPlan(one);
      else {
        cluster ??= await SteppedCluster.start({ workers: Number(values.workers) });
        verdict = await judgeStreamCase(cluster, one, `case${index}`);
      }
    } catch (error) {
      verdict = { kind: 'fail', what: messageOf(error) };
    }
    const quirk = one.kind === 'micro-batch' && one.sparkQuirk === true;
    if (verdict.kind === 'fail' && quirk) verdict = { kind: 'ok', note: 'differs where Spark is peculiar; not judged' };
    print(one.name, verdict);
    if (verdict.kind === 'fail') totals.failed++;
    else totals.passed++;
  }
} finally {
  await cluster?.[Symbol.asyncDispose]();
}
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = totals.failed === 0 ? 0 : 1;

function print(name: string, verdict: Verdict): void {
  switch (verdict.kind) {
    case 'ok':
      return void process.stdout.write(`ok ${name}${verdict.note === '' ? '' : ` (${verdict.note})`}\n`);
    case 'refusedAsExpected':
      return void process.stdout.write(`refused as expected ${name}: ${verdict.note}\n`);
    case 'fail':
      return void process.stdout.write(`FAIL ${name}: ${verdict.what}\n`);
  }
}
