/**
 * What operators get beside the program: a real cluster with a lane job and a stateful one, a real Prometheus with the
 * project's configuration that finds it by HTTP discovery; every query of every dashboard must give data, every rule must
 * evaluate, and each must fire and stay quiet when it should. `npm run test:ops`; needs Prometheus and promtool.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { must } from '../../core/assert.ts';
import { metrics } from '../../core/metrics/table.ts';
import { alerts, anchorOf, filled } from '../../ops/alerts.ts';
import { mistakesIn } from '../../ops/expressions.ts';
import { until } from '../support/cluster.ts';
import type { Process } from '../support/cluster.ts';
import type { DashboardFile } from './dashboard-schema.ts';
import { dashboardFile } from './dashboard-schema.ts';
import { Birds, TOKEN } from './birds.ts';
import { Prometheus, configIn, findProgram, promtool } from './prometheus.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const PATIENCE_MS = 120_000;

let birds: Birds;
let prometheus: Prometheus | undefined;
let directory: string;
let doomed: Process;

before(async () => {
  findProgram('prometheus');
  findProgram('promtool');
  directory = await mkdtemp(join(tmpdir(), 'weir-ops-'));
  birds = await Birds.create();
  await configIn(directory, birds.cluster.address, TOKEN);
  await birds.start();
  doomed = await birds.startWorker();
  await birds.startWorker();
  prometheus = await Prometheus.start(join(directory, 'prometheus.yml'), directory);
});

after(async () => {
  await prometheus?.close();
  await birds?.close();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

const running = (): Prometheus => must(prometheus ?? null, () => 'Prometheus was not started');

const dashboards: readonly DashboardFile[] = globSync('ops/grafana/dashboards/*.json', { cwd: root }).map((path) =>
  dashboardFile.parse(JSON.parse(readFileSync(join(root, path), 'utf8'))),
);

const queries = dashboards.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    panel.type === 'row'
      ? []
      : panel.targets.map(({ expr, refId }) => ({
          name: `${title}, ${panel.title} ${refId}`,
          // As Grafana fills them in: four scrapes, and all jobs.
          expr: expr.replaceAll('$__rate_interval', '20s').replaceAll('$job_name', '.*'),
        })),
  ),
);

test('the files of the dashboards are such as Grafana reads, and are provisioned', () => {
  assert.deepEqual(dashboards.map(({ uid }) => uid).toSorted(), ['weir-cluster', 'weir-job', 'weir-lag', 'weir-sink']);
  const read = (path: string): unknown => parse(readFileSync(join(root, path), 'utf8'));
  const { datasources } = read('ops/grafana/provisioning/datasources/prometheus.yaml') as {
    readonly datasources: readonly { readonly uid: string; readonly type: string }[];
  };
  const used = new Set(
    dashboards.flatMap(({ panels }) => panels.flatMap((panel) => (panel.type === 'row' ? [] : panel.datasource.uid))),
  );
  assert.deepEqual(
    [...used],
    datasources.map(({ uid }) => uid),
  );
});

test('a query with a metric or a label that does not exist is found', () => {
  assert.deepEqual(mistakesIn('sum by (job_name) (rate(weir_rows_written_total[1m]))'), []);
  assert.deepEqual(mistakesIn('weir_rows_total'), ['there is no metric weir_rows_total']);
  assert.deepEqual(mistakesIn('sum by (operator) (weir_jobs)'), ['no metric of this query has a label operator']);
  assert.deepEqual(mistakesIn('weir_jobs{stat="x"}'), ['no metric of this query has a label stat']);
  assert.equal(mistakesIn('rate(weir_batch_duration_seconds[1m])').length, 1);
});

test('promtool accepts the configuration and the rules', async () => {
  assert.match(
    await promtool('check', 'config', join(directory, 'prometheus.yml')),
    /SUCCESS: .*valid prometheus config/,
  );
  const words = await promtool('check', 'rules', join(root, 'ops/prometheus/rules/weir.yml'));
  assert.match(words, new RegExp(`SUCCESS: ${alerts.length} rules found`));
  assert.ok(alerts.length >= 13);
  assert.doesNotMatch(words, /duplicate/);
});

test('every alert fires when it should, and stays quiet when it should', async () => {
  const moment = (eval_time: string, alertname: string, exp_alerts: readonly unknown[]): unknown => ({
    eval_time,
    alertname,
    exp_alerts,
  });
  const series = (of: Readonly<Record<string, string>>): unknown[] =>
    Object.entries(of).map(([name, values]) => ({ series: name, values }));
  const tests = alerts.flatMap((alert) => {
    const { name, severity, fires, quiet, summary, remedy } = alert;
    const expected = {
      exp_labels: { severity, ...fires.labels },
      exp_annotations: {
        summary: filled(summary, fires.labels),
        description: remedy,
        runbook: `docs/alerts.md#${anchorOf(alert)}`,
      },
    };
    return [
      { interval: '15s', input_series: series(fires.series), alert_rule_test: [moment(fires.at, name, [expected])] },
      { interval: '15s', input_series: series(quiet), alert_rule_test: [moment(fires.at, name, [])] },
    ];
  });
  const file = join(directory, 'alerts.yml');
  await writeFile(file, stringify({ rule_files: [join(root, 'ops/prometheus/rules/weir.yml')], tests }));
  assert.match(await promtool('test', 'rules', file), /SUCCESS/);
});

test('Prometheus finds master and workers, also one that comes later', async () => {
  const found = async (count: number): Promise<true> => {
    const targets = await running().targets();
    assert.equal(targets.length, count);
    for (const { health, lastError, labels } of targets)
      assert.equal(health, 'up', `${labels['instance']}: ${lastError}`);
    return true;
  };
  await until('three targets are up', PATIENCE_MS, () => found(3));
  await birds.startWorker();
  await until('four targets are up', PATIENCE_MS, () => found(4));
});

test('no panel of any dashboard is empty', async () => {
  assert.ok(queries.length > 50);
  let empty: string[] = [];
  await until('every query gives a number', PATIENCE_MS, async () => {
    empty = [];
    for (const { name, expr } of queries) {
      const series = await running().query(expr);
      if (!series.some(({ value: [, value] }) => Number.isFinite(Number(value)))) empty.push(`${name}: ${expr}`);
    }
    return empty.length === 0;
  }).catch((error: unknown) => assert.fail(`${String(error)}\n${empty.join('\n')}`));
});

test('every metric of the table is shown by somebody, and nothing else of ours', async () => {
  const shownNow = async (): Promise<Set<string>> =>
    new Set(
      (await running().query('group by (__name__) ({__name__=~"weir_.+"})')).map(
        ({ metric: { __name__ = '' } }) => __name__,
      ),
    );
  const expected = Object.entries(metrics).flatMap(([name, { kind }]) =>
    kind === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
  );
  // Only a sink for measurements has it.
  const rare = new Set(['weir_blackhole_hash']);
  const wanted = expected.filter((name) => !rare.has(name)).toSorted();
  // Some come with the first record that goes wrong.
  const all = async (): Promise<boolean> => {
    const shown = await shownNow();
    return wanted.every((name) => shown.has(name));
  };
  await until('every metric is there', PATIENCE_MS, all).catch(() => undefined);
  assert.deepEqual([...(await shownNow())].toSorted(), wanted);
});

test('labels are those of the table', async () => {
  const target = new Set(['__name__', 'job', 'instance', 'component', 'worker', 'le']);
  const wrong = new Set<string>();
  for (const [name, { kind, labels }] of Object.entries(metrics)) {
    const known: readonly string[] = labels;
    for (const { metric } of await running().query(kind === 'histogram' ? `${name}_bucket` : name))
      for (const label of Object.keys(metric))
        if (!target.has(label) && !known.includes(label)) wrong.add(`${name} ${label}`);
  }
  assert.deepEqual([...wrong], []);
});

test('rules evaluate, and a killed worker and bad records set theirs off', async () => {
  await until('every rule was evaluated', PATIENCE_MS, async () => {
    const rules = await running().rules();
    assert.equal(rules.length, alerts.length);
    for (const { name, health, lastError } of rules) assert.equal(health, 'ok', `${name}: ${lastError ?? ''}`);
    return true;
  });
  for (const { name, expr } of alerts) await assert.doesNotReject(running().query(expr), name);
  const stateOf = async (wanted: string): Promise<string> =>
    (await running().rules()).find(({ name }) => name === wanted)?.state ?? 'unknown';
  const lost = async (): Promise<number> =>
    Number((await running().query('sum(weir_workers_lost_total)'))[0]?.value[1]);
  const before = await lost();
  await doomed.kill9();
  await until('a worker was lost', PATIENCE_MS, async () => (await lost()) > before);
  await until('WeirWorkerLost fires', PATIENCE_MS, async () => (await stateOf('WeirWorkerLost')) === 'firing');
  // Bad records come all the time.
  await until('WeirDeadLetters is pending', PATIENCE_MS, async () => (await stateOf('WeirDeadLetters')) === 'pending');
});
