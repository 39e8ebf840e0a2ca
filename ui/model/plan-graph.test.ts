import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { loadJobFile } from '../../core/job/file.ts';
import { planJob } from '../../engine/plan/plan-job.ts';
import { NODE_HEIGHT, NODE_WIDTH, graphOf, layout } from './plan-graph.ts';

function planOf(path: string) {
  const { spec } = loadJobFile(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
  assert.ok(spec !== null);
  const { plan } = planJob(spec, { tables: null });
  assert.ok(plan !== null);
  return plan;
}

const files = [
  'jobs/created-users.yaml',
  'test/golden/views-per-minute.yaml',
  'test/golden/unpaid-orders.yaml',
  'test/golden/visits.yaml',
];

suite('a plan as a graph', () => {
  test('a job without state: source, stage, sink', () => {
    const { nodes, edges } = graphOf(planOf('jobs/created-users.yaml'));
    assert.deepEqual(
      nodes.map(({ id }) => id),
      ['source0', 'stage0', 'sink0'],
    );
    assert.equal(nodes[1]?.title, 'filter → project');
    assert.deepEqual(
      edges.map(({ from, to }) => `${from} ${to}`),
      ['source0 stage0', 'stage0 sink0'],
    );
  });

  test('an exchange names its keys', () => {
    const { edges } = graphOf(planOf('test/golden/views-per-minute.yaml'));
    assert.ok(edges.some(({ label }) => label.startsWith('by ') && label.includes('page')));
  });

  test('both sides of a join reach it', () => {
    const { nodes, edges } = graphOf(planOf('test/golden/unpaid-orders.yaml'));
    const join = nodes.find(({ title }) => title.endsWith('join'));
    assert.ok(join !== undefined);
    assert.equal(edges.filter(({ to }) => to === join.id).length, 2);
  });

  for (const file of files) {
    test(`every arrow of ${file} goes to the right and no boxes overlap`, () => {
      const { nodes, edges, width, height } = layout(graphOf(planOf(file)));
      for (const { x1, x2 } of edges) assert.ok(x1 < x2);
      for (const one of nodes) {
        assert.ok(one.x >= 0 && one.x + NODE_WIDTH <= width && one.y >= -0.5 && one.y + NODE_HEIGHT <= height + 0.5);
        for (const other of nodes)
          assert.ok(
            one === other || Math.abs(one.x - other.x) >= NODE_WIDTH || Math.abs(one.y - other.y) >= NODE_HEIGHT,
          );
      }
    });
  }
});
