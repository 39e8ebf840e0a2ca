/** Grafana's page over a table of results, as far as Grafana needs it: its JSON model, with panels that ask PostgreSQL. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const SOURCE = 'grafana-postgresql-datasource';
const folder = new URL('../../ops/grafana/results/', import.meta.url);
const source = z.strictObject({ type: z.literal(SOURCE), uid: z.string().min(1) });

const target = z.strictObject({
  refId: z.literal('A'),
  datasource: source,
  editorMode: z.literal('code'),
  format: z.enum(['table', 'time_series']),
  rawQuery: z.literal(true),
  rawSql: z.string().startsWith('SELECT '),
});

const panel = z.object({
  id: z.number().int().positive(),
  type: z.enum(['stat', 'barchart', 'timeseries', 'table']),
  title: z.string().min(1),
  datasource: source,
  gridPos: z.strictObject({ x: z.int().min(0), y: z.int().min(0), w: z.int().min(1), h: z.int().min(1) }),
  targets: z.tuple([target]),
});

const dashboard = z.object({
  uid: z.string().regex(/^[\w-]{1,40}$/),
  title: z.string().min(1),
  schemaVersion: z.literal(39),
  panels: z.array(panel).min(1),
});

const sources = z.object({
  datasources: z.array(z.object({ uid: z.string(), type: z.literal(SOURCE), url: z.string(), user: z.string() })),
});

export interface ResultsPanel {
  readonly title: string;
  /** Of the rows: a series over time has a column `time`. */
  readonly format: 'table' | 'time_series';
  /** Macros are filled in as Grafana does, for the years from 1990 to 2100. */
  readonly sql: string;
}

/** The panels of a page of ops/grafana/results. Throws where Grafana would not read it, or not find its data source. */
export function resultsPanels(name: string): readonly ResultsPanel[] {
  const { panels } = dashboard.parse(JSON.parse(readFileSync(new URL(name, folder), 'utf8')));
  const { datasources } = sources.parse(parse(readFileSync(new URL('postgres.yaml', folder), 'utf8')));
  const known = new Set(datasources.map(({ uid }) => uid));
  const years = "$1 BETWEEN '1990-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'";
  return panels.map(({ title, datasource, targets: [{ format, rawSql, datasource: own }] }) => {
    assert.ok(known.has(datasource.uid) && known.has(own.uid), `${title} names a data source that is not there`);
    return { title, format, sql: rawSql.replaceAll(/\$__timeFilter\((\w+)\)/g, years) };
  });
}
