/** Panels and dashboards, as short as they can be said; made into Grafana's JSON by ops/grafana.ts. */

/** Units of Grafana. */
export type PanelUnit = 'short' | 'ops' | 'rowsps' | 's' | 'bytes' | 'Bps' | 'percentunit' | 'bool_on_off';

export interface Query {
  readonly expr: string;
  /** Name of a series, with labels as `{{label}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** What is shown and what to look for, shown at the panel's (i). */
  readonly about: string;
  readonly kind: 'stat' | 'lines' | 'stacked';
  readonly unit: PanelUnit;
  readonly queries: readonly Query[];
  /** A stat turns yellow and red from here on; the other way round when red is smaller. */
  readonly alarming?: { readonly yellow: number; readonly red: number };
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  /** Whether a job can be chosen: queries then have `$job_name`. */
  readonly byJob: boolean;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

/** A panel with one query or several. */
export function panel(
  kind: Panel['kind'],
  title: string,
  unit: PanelUnit,
  about: string,
  ...queries: readonly (readonly [expr: string, legend: string])[]
): Panel {
  return { kind, title, unit, about, queries: queries.map(([expr, legend]) => ({ expr, legend })) };
}

/** The panel with thresholds. */
export function alarming(of: Panel, yellow: number, red: number): Panel {
  return { ...of, alarming: { yellow, red } };
}
