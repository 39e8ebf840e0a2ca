import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { must } from '../../core/assert.ts';
import { loadJobFile } from '../../core/job/file.ts';
import { explainDot, explainMermaid } from './explain-chart.ts';
import type { JobPlan } from './job-plan.ts';
import { planJob } from './plan-job.ts';

const golden = join(import.meta.dirname, '..', '..', 'test', 'golden');

function planOf(name: string): JobPlan {
  const { spec } = loadJobFile(readFileSync(join(golden, name), 'utf8'));
  const { plan, problems } = planJob(
    must(spec, () => `${name} is a job file`),
    { tables: null },
  );
  assert.deepEqual(problems, []);
  return must(plan, () => `${name} has a plan`);
}

/** Edges by what they go from and to. */
function edgesOf(text: string, arrow: RegExp): string[] {
  return [...text.matchAll(arrow)].map(([, from, to]) => `${from} ${to}`).toSorted();
}

suite('charts of plans', () => {
  for (const name of ['views-per-minute.yaml', 'unpaid-orders.yaml', 'account-balances.yaml', 'visits.yaml']) {
    test(`${name}: both charts have the same nodes and edges, and every edge has its ends`, () => {
      const plan = planOf(name);
      const [mermaid, dot] = [explainMermaid(plan), explainDot(plan)];
      const edges = edgesOf(dot, /^ {2}(\w+) -> (\w+)/gm);
      assert.deepEqual(edges, edgesOf(mermaid, /^ {2}(\w+) -->(?:\|"[^"]*"\|)? (\w+)$/gm));
      const nodes = new Set([...dot.matchAll(/^ {2}(\w+) \[shape/gm)].map(([, id]) => id));
      assert.equal(nodes.size >= plan.sources.length + plan.sinks.length + 1, true);
      for (const end of edges.flatMap((edge) => edge.split(' '))) assert.ok(nodes.has(end), `${end} is no node`);
      for (const id of nodes)
        assert.ok(
          edges.some((edge) => edge.split(' ').includes(id ?? '')),
          `${id} stands alone`,
        );
    });
  }

  test('quotes, backslashes and lines in names stay names', () => {
    const plan = planOf('views-per-minute.yaml');
    const [sink] = plan.sinks;
    const odd = { ...plan, sinks: [{ ...must(sink, () => 'a sink'), description: 'a "b" \\c' }] } as JobPlan;
    assert.match(explainDot(odd), /sink0 \[shape=note, label="a \\"b\\" \\\\c"\];/);
    assert.match(explainMermaid(odd), /sink0\[\/"a #quot;b#quot; \\c"\/\]/);
  });
});
