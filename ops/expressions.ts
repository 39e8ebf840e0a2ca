/** What queries may name: only metrics and labels of the table (core/metrics/table.ts) and of every Node process. */
import type { MetricSpec } from '../core/metrics/table.ts';
import { metrics } from '../core/metrics/table.ts';

const table: Readonly<Record<string, MetricSpec>> = metrics;

/** Labels that Prometheus or the service discovery adds to every series. */
const targetLabels: ReadonlySet<string> = new Set(['job', 'instance', 'component', 'worker', 'le']);

/** Metrics of others, as the client library and Prometheus itself show them. */
const others: Readonly<Record<string, readonly string[]>> = {
  up: [],
  process_cpu_seconds_total: [],
  process_resident_memory_bytes: [],
  process_open_fds: [],
  process_start_time_seconds: [],
  nodejs_heap_size_used_bytes: [],
  nodejs_external_memory_bytes: [],
  nodejs_gc_duration_seconds_sum: ['kind'],
};

const selector = /\b((?:weir|process|nodejs)_\w+|up)\b(?:\{([^}]*)\})?/g;

/** Names of metrics in a query, as they stand there. */
export function metricsIn(expr: string): string[] {
  return [...expr.matchAll(selector)].map(([, name = '']) => name);
}

/** The metric of a series' name: a histogram has three. */
function baseOf(name: string): string {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return table[base]?.kind === 'histogram' ? base : name;
}

/** What is wrong with a query, one sentence each. `given`: labels it may use beside those of its metrics. */
export function mistakesIn(expr: string, given: readonly string[] = []): string[] {
  const mistakes: string[] = [];
  const known = new Set([...targetLabels, ...given]);
  for (const name of metricsIn(expr)) {
    const labels = table[baseOf(name)]?.labels ?? others[name];
    if (labels === undefined) mistakes.push(`there is no metric ${name}`);
    else if (table[name]?.kind === 'histogram')
      mistakes.push(`${name} is a histogram: ask for its _bucket, _sum or _count`);
    for (const label of labels ?? []) known.add(label);
  }
  const used = [...expr.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)]
    .flatMap(([, list = '']) => list.split(','))
    .concat([...expr.matchAll(selector)].flatMap(([, , matchers = '']) => labelsOf(matchers)));
  for (const label of used.map((one) => one.trim()))
    if (label !== '' && !known.has(label)) mistakes.push(`no metric of this query has a label ${label}`);
  return mistakes;
}

function labelsOf(matchers: string): string[] {
  return [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label);
}
