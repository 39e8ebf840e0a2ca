/** Grafana's JSON of a dashboard (schema version 39, which Grafana 10 to 12 read). */
import type { Dashboard, Panel } from './panels.ts';

const source = { type: 'prometheus', uid: 'prometheus' };
const COLUMNS = 24;

/** A tree for JSON.stringify. */
export function grafanaJson(dashboard: Dashboard): Record<string, unknown> {
  const panels: unknown[] = [];
  let id = 1;
  let y = 0;
  for (const { title, panels: row } of dashboard.rows) {
    panels.push({ id: id++, type: 'row', title, collapsed: false, gridPos: { x: 0, y, w: COLUMNS, h: 1 }, panels: [] });
    y += 1;
    const stats = row.every(({ kind }) => kind === 'stat');
    const perLine = stats ? row.length : 3;
    const width = Math.floor(COLUMNS / perLine);
    const height = stats ? 4 : 8;
    row.forEach((one, index) => {
      const place = { x: (index % perLine) * width, y: y + Math.floor(index / perLine) * height, w: width, h: height };
      panels.push(panelJson(one, id++, place));
    });
    y += Math.ceil(row.length / perLine) * height;
  }
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.about,
    tags: ['weir'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '5s',
    time: { from: 'now-30m', to: 'now' },
    timezone: 'browser',
    graphTooltip: 1,
    links: [{ type: 'dashboards', tags: ['weir'], title: 'Weir', asDropdown: true, includeVars: true, keepTime: true }],
    annotations: { list: [] },
    templating: { list: dashboard.byJob ? [jobVariable] : [] },
    panels,
  };
}

const jobVariable = {
  name: 'job_name',
  label: 'Job',
  type: 'query',
  datasource: source,
  query: { query: 'label_values(weir_job_state, job_name)', refId: 'job_name' },
  refresh: 2,
  includeAll: true,
  multi: true,
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
  sort: 1,
};

function panelJson(panel: Panel, id: number, gridPos: object): Record<string, unknown> {
  const stat = panel.kind === 'stat';
  return {
    id,
    type: stat ? 'stat' : 'timeseries',
    title: panel.title,
    description: panel.about,
    datasource: source,
    gridPos,
    fieldConfig: { defaults: fieldDefaults(panel), overrides: [] },
    options: stat
      ? {
          reduceOptions: { calcs: ['lastNotNull'], values: false, fields: '' },
          colorMode: panel.alarming === undefined ? 'none' : 'value',
          graphMode: 'area',
          textMode: 'auto',
        }
      : {
          legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
          tooltip: { mode: 'multi', sort: 'desc' },
        },
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: source,
      expr,
      legendFormat: legend,
      range: true,
    })),
  };
}

/** Grafana's names of units; what it does not know it shows as it stands. */
const units: Readonly<Record<Panel['unit'], string>> = {
  short: 'short',
  ops: 'ops',
  rowsps: 'wps',
  s: 's',
  bytes: 'bytes',
  Bps: 'Bps',
  percentunit: 'percentunit',
  bool_on_off: 'bool_on_off',
};

function fieldDefaults({ kind, unit, alarming }: Panel): Record<string, unknown> {
  const custom = {
    drawStyle: 'line',
    lineWidth: 1,
    fillOpacity: kind === 'stacked' ? 40 : 8,
    showPoints: 'never',
    stacking: { mode: kind === 'stacked' ? 'normal' : 'none', group: 'A' },
  };
  return {
    unit: units[unit],
    ...(kind === 'stat' ? {} : { custom }),
    ...(alarming === undefined ? {} : { color: { mode: 'thresholds' }, thresholds: thresholdsOf(alarming) }),
  };
}

function thresholdsOf({ yellow, red }: NonNullable<Panel['alarming']>): Record<string, unknown> {
  const steps =
    red < yellow
      ? [
          { color: 'red', value: null },
          { color: 'green', value: yellow },
        ]
      : [
          { color: 'green', value: null },
          ...(red > yellow ? [{ color: 'yellow', value: yellow }] : []),
          { color: 'red', value: red },
        ];
  return { mode: 'absolute', steps };
}
