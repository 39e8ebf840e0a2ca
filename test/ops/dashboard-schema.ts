/**
 * What Grafana needs of a dashboard file (its JSON model, schema version 39): it skips a file that does not parse, draws
 * an empty frame for a panel of an unknown type, and "No data" for a target without expression or data source.
 */
import { z } from 'zod';

const source = z.strictObject({ type: z.literal('prometheus'), uid: z.string().min(1) });

const place = z.strictObject({
  x: z.number().int().min(0).max(23),
  y: z.number().int().min(0),
  w: z.number().int().min(1).max(24),
  h: z.number().int().min(1),
});

const row = z.strictObject({
  id: z.number().int().positive(),
  type: z.literal('row'),
  title: z.string().min(1),
  collapsed: z.literal(false),
  gridPos: place,
  panels: z.array(z.never()),
});

const step = z.strictObject({ color: z.enum(['green', 'yellow', 'red']), value: z.number().nullable() });

const fieldConfig = z.strictObject({
  defaults: z.strictObject({
    unit: z.enum(['short', 'ops', 'wps', 's', 'bytes', 'Bps', 'percentunit', 'bool_on_off']),
    color: z.strictObject({ mode: z.literal('thresholds') }).optional(),
    // Grafana takes the first step as the base, and only there null.
    thresholds: z
      .strictObject({
        mode: z.literal('absolute'),
        steps: z
          .array(step)
          .min(2)
          .refine((steps) => steps.every(({ value }, index) => (value === null) === (index === 0))),
      })
      .optional(),
    custom: z
      .strictObject({
        drawStyle: z.literal('line'),
        lineWidth: z.number(),
        fillOpacity: z.number().min(0).max(100),
        showPoints: z.enum(['never', 'auto', 'always']),
        stacking: z.strictObject({ mode: z.enum(['none', 'normal']), group: z.string() }),
      })
      .optional(),
  }),
  overrides: z.array(z.never()),
});

const drawn = z.strictObject({
  id: z.number().int().positive(),
  type: z.enum(['stat', 'timeseries']),
  title: z.string().min(1),
  description: z.string().min(1),
  datasource: source,
  gridPos: place,
  fieldConfig,
  options: z.record(z.string(), z.unknown()),
  targets: z
    .array(
      z.strictObject({
        refId: z.string().regex(/^[A-Z]$/),
        datasource: source,
        expr: z.string().min(1),
        legendFormat: z.string().min(1),
        range: z.literal(true),
      }),
    )
    .min(1),
});

const variable = z.strictObject({
  name: z.string().regex(/^\w+$/),
  label: z.string(),
  type: z.literal('query'),
  datasource: source,
  query: z.strictObject({ query: z.string().regex(/^label_values\(\w+, \w+\)$/), refId: z.string() }),
  refresh: z.literal(2),
  includeAll: z.boolean(),
  multi: z.boolean(),
  allValue: z.string(),
  current: z.strictObject({ text: z.string(), value: z.string() }),
  sort: z.number().int(),
});

/** One dashboard file. */
export const dashboardFile = z
  .strictObject({
    uid: z.string().regex(/^[\w-]{1,40}$/),
    title: z.string().min(1),
    description: z.string(),
    tags: z.array(z.string()),
    schemaVersion: z.literal(39),
    version: z.number().int(),
    editable: z.boolean(),
    refresh: z.string(),
    time: z.strictObject({ from: z.string(), to: z.string() }),
    timezone: z.enum(['browser', 'utc']),
    graphTooltip: z.number().int().min(0).max(2),
    links: z.array(z.record(z.string(), z.unknown())),
    annotations: z.strictObject({ list: z.array(z.never()) }),
    templating: z.strictObject({ list: z.array(variable) }),
    panels: z.array(z.union([row, drawn])).min(1),
  })
  .superRefine(({ panels, templating }, context) => {
    const ids = panels.map(({ id }) => id);
    if (new Set(ids).size !== ids.length) context.addIssue('two panels have one id');
    const names = new Set(templating.list.map(({ name }) => name));
    for (const panel of panels) {
      if (panel.gridPos.x + panel.gridPos.w > 24) context.addIssue(`${panel.title} does not fit into 24 columns`);
      if (panel.type === 'row') continue;
      const refs = panel.targets.map(({ refId }) => refId);
      if (new Set(refs).size !== refs.length) context.addIssue(`two targets of ${panel.title} have one name`);
      for (const { expr } of panel.targets)
        for (const [, used = ''] of expr.matchAll(/\$(\w+)/g))
          if (!used.startsWith('__') && !names.has(used))
            context.addIssue(`${panel.title} uses $${used}, which is no variable`);
    }
    for (const [index, one] of panels.entries())
      for (const other of panels.slice(index + 1))
        if (overlap(one.gridPos, other.gridPos)) context.addIssue(`${one.title} lies over ${other.title}`);
  });

/** One dashboard, as read. */
export type DashboardFile = z.output<typeof dashboardFile>;

type Place = z.output<typeof place>;

function overlap(a: Place, b: Place): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
