/**
 * Makes docs/metrics.md from core/metrics/table.ts, Grafana's dashboards from ops/dashboards.ts, and Prometheus' rules
 * and docs/alerts.md from ops/alerts.ts. A query that names a metric or a label that does not exist is an error. With
 * `--check` nothing is written and stale files fail.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import type { MetricSpec } from '../core/metrics/table.ts';
import { BUCKETS_SECONDS, metrics } from '../core/metrics/table.ts';
import { alerts, anchorOf } from '../ops/alerts.ts';
import { dashboards } from '../ops/dashboards.ts';
import { mistakesIn } from '../ops/expressions.ts';
import { grafanaJson } from '../ops/grafana.ts';

const root = join(import.meta.dirname, '..');
const DASHBOARDS = 'ops/grafana/dashboards';

const entries = Object.entries(metrics) as [string, MetricSpec][];

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

const units: Readonly<Record<MetricSpec['unit'], string>> = {
  records: 'records',
  rows: 'rows',
  bytes: 'bytes',
  seconds: 'seconds',
  ratio: '0 to 1',
  count: '',
  timestamp: 'seconds since 1970',
  epoch: 'epoch',
  bool: '0 or 1',
};

function metricRow([name, { kind, labels, unit, from, meaning }]: [string, MetricSpec]): string {
  const of = from === 'both' ? 'both' : from;
  return `| \`${name}\` | ${kind} | ${units[unit]} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${of} | ${cell(meaning)} |`;
}

function likeRow([name, { spark, flink, kafka }]: [string, MetricSpec]): string {
  return `| \`${name}\` | ${cell(spark ?? '')} | ${cell(flink ?? '')} | ${cell(kafka ?? '')} |`;
}

function seconds(value: number): string {
  return value < 1 ? `${value * 1000} ms` : `${value} s`;
}

function metricsPage(): string {
  const known = entries.filter(([, { spark, flink, kafka }]) => spark ?? flink ?? kafka);
  return `<!-- Made by scripts/gen-ops.ts from core/metrics/table.ts. Do not edit. -->
# Metrics

\`/metrics\` on the master (port 7080) and on every worker (7081) speak Prometheus' text format. Prometheus finds the
workers through the master: \`GET /v1/targets\` answers in the format of \`http_sd_configs\` (see
\`ops/prometheus/prometheus.yml\`), so a worker that is added is scraped within seconds. Grafana's dashboards
(\`ops/grafana/dashboards\`: cluster, job, lag, Cassandra sink) draw what is below; [alerts.md](alerts.md) lists the rules.

Everything is counted once per batch, never per record. The label of a job is \`job_name\`, because Prometheus itself
sets \`job\`.

## All of them

| metric | kind | unit | labels | shown by | meaning |
| --- | --- | --- | --- | --- | --- |
${entries.map(metricRow).join('\n')}

Besides, every process shows \`process_*\` and \`nodejs_*\`: processor time, resident memory, open files, heap, garbage
collection.

Buckets of all histograms: ${BUCKETS_SECONDS.map(seconds).join(', ')}.

Counters start at zero with a process. The exact numbers of a job (read = passed + filtered + skipped + dead) are part
of its checkpoint: \`weir describe job NAME\` and \`GET /v1/jobs/NAME\` show them.

## How many series

Labels have few values, but for partitions. A worker shows at most 1,000 series by partition
(\`WEIR_METRICS_PARTITIONS\`, 0 = none); the partitions of a job that do not fit are one series per topic with
\`partition="all"\`, so sums stay right. A job costs about 150 series on each worker that runs it, most of them buckets,
and about 20 on the master.

## By the names you know

Spark: fields of StreamingQueryProgress and metrics of its sinks; Flink: its metric names; Kafka: Streams and Connect.

| Weir | Spark | Flink | Kafka Streams, Connect |
| --- | --- | --- | --- |
${known.map(likeRow).join('\n')}

## Questions and queries

| question | query |
| --- | --- |
${questions.map(([question, query]) => `| ${question} | \`${cell(query)}\` |`).join('\n')}
`;
}

const questions: readonly (readonly [question: string, query: string])[] = [
  ['How many rows per second reach Cassandra?', 'sum by (job_name, sink) (rate(weir_rows_written_total[1m]))'],
  [
    'How old is a record when its row is readable?',
    'histogram_quantile(0.99, sum by (le, job_name) (rate(weir_end_to_end_latency_seconds_bucket[5m])))',
  ],
  ['Is a job falling behind?', 'sum by (job_name) (deriv(weir_consumer_lag_records[10m])) > 0'],
  ['Which mistakes do producers make?', 'sum by (reason) (increase(weir_dead_letters_total[1h]))'],
  ['How far is the watermark behind now?', 'time() - max by (job_name) (weir_epoch_watermark_seconds)'],
  ['How much state does an operator hold?', 'sum by (job_name, operator) (weir_state_bytes)'],
  ['Are there workers enough?', 'avg by (instance) (rate(weir_thread_busy_seconds_total[5m]))'],
  ['Did a lane write without the right to?', 'sum by (job_name) (increase(weir_fenced_writes_total[1h]))'],
];

function rulesFile(): string {
  const rules = alerts.map((alert) => ({
    alert: alert.name,
    expr: alert.expr,
    for: alert.for,
    labels: { severity: alert.severity },
    annotations: { summary: alert.summary, description: alert.remedy, runbook: `docs/alerts.md#${anchorOf(alert)}` },
  }));
  const text = stringify({ groups: [{ name: 'weir', interval: '15s', rules }] }, { lineWidth: 0 });
  return `# Made by scripts/gen-ops.ts from ops/alerts.ts. Do not edit.\n${text}`;
}

function alertsPage(): string {
  const list = alerts.map(({ name, severity, for: time, summary }) => {
    return `| [${name}](#${name.toLowerCase()}) | ${severity} | ${time === '0s' ? 'at once' : time} | ${cell(readable(summary))} |`;
  });
  const each = alerts.map(
    ({ name, expr, remedy, summary }) =>
      `## ${name}\n\n${readable(summary)}\n\n${remedy}\n\n\`\`\`promql\n${expr}\n\`\`\``,
  );
  return `<!-- Made by scripts/gen-ops.ts from ops/alerts.ts. Do not edit. -->
# Alerts

The rules of \`ops/prometheus/rules/weir.yml\`, and what to do when one fires. Critical: somebody has to act now; warning:
today; info: good to know. Thresholds are starting points: copy the file and change them.

| alert | severity | after | what is so |
| --- | --- | --- | --- |
${list.join('\n')}

${each.join('\n\n')}
`;
}

/** The name of a label for its value. */
function readable(template: string): string {
  return template.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, '*$1*');
}

const wrong = [
  ...questions.flatMap(([question, query]) => mistakesIn(query).map((why) => `${question} ${why}`)),
  ...alerts.flatMap(({ name, expr }) => mistakesIn(expr).map((why) => `${name}: ${why}`)),
  ...dashboards.flatMap(({ title, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap((panel) =>
        panel.queries.flatMap(({ expr }) => mistakesIn(expr).map((why) => `${title}, ${panel.title}: ${why}`)),
      ),
    ),
  ),
];
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}

const files = new Map([
  ['docs/metrics.md', metricsPage()],
  ['docs/alerts.md', alertsPage()],
  ['ops/prometheus/rules/weir.yml', rulesFile()],
  ...dashboards.map((one): [string, string] => [
    `${DASHBOARDS}/${one.uid}.json`,
    `${JSON.stringify(grafanaJson(one), null, 2)}\n`,
  ]),
]);
const check = process.argv.includes('--check');
for (const [path, text] of files) {
  if (!check) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  } else if (current(path) !== text) stale(path);
}
for (const name of readdirSync(join(root, DASHBOARDS))) {
  const path = `${DASHBOARDS}/${name}`;
  if (files.has(path)) continue;
  if (check) stale(path);
  else rmSync(join(root, path));
}

function stale(path: string): void {
  console.error(`${path} is not what the tables of metrics, dashboards and alerts give; run: node scripts/gen-ops.ts`);
  process.exitCode = 1;
}

function current(path: string): string {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    // A missing file is a stale one.
    return '';
  }
}
