/** A job file with the fields that records of its sources were found to have beside those of their schema. */
import type { JobSpec } from '../core/job/spec.ts';
import { patchJobFile } from '../core/job/patch.ts';
import { registryQuestion } from '../engine/plan/source-format.ts';
import type { SchemaChangeView } from './views.ts';

/** What a producer that makes names up can add. */
const COLUMNS_MAX = 1000;
const plainName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Columns that every record has: a field of the same name would take their place in the query. */
const recordColumns = new Set([
  'key',
  'value',
  'topic',
  'partition',
  'offset',
  'timestamp',
  'timestamptype',
  'headers',
]);

export interface EvolvedFile {
  readonly text: string;
  /** For people: `users: town STRING`. Empty = nothing that the file could take. */
  readonly added: readonly string[];
  /** Fields that cannot be a column by themselves, with the reason. */
  readonly left: readonly string[];
}

/**
 * Lists the new fields of sources with `onSchemaChange: evolve` behind the columns of their schema. Where a registry gives
 * the columns, the file stays as it is: planned again, it has those of the latest version.
 */
export function evolvedJobFile(text: string, spec: JobSpec, changes: readonly SchemaChangeView[]): EvolvedFile {
  const added: string[] = [];
  const left: string[] = [];
  const patches: Record<string, { schema: string }> = {};
  for (const [name, source] of Object.entries(spec.sources)) {
    if (source.onSchemaChange !== 'evolve') continue;
    const asked = registryQuestion(source) !== undefined;
    const own = changes.filter((change) => change.source === name && change.after !== null);
    const columns: string[] = [];
    for (const { kind, column, after } of own) {
      if (asked) {
        if (kind !== 'missing') added.push(`${name}: ${column} ${after}`);
        continue;
      }
      if (kind !== 'new') continue;
      const reason = cannotBeColumn(column);
      const twice = columns.some((each) => each.toLowerCase().startsWith(`\`${column.toLowerCase()}\` `));
      if (reason !== null || twice) {
        left.push(`${name}: ${column} (${reason ?? 'its name differs from another one in case alone'})`);
        continue;
      }
      columns.push(`\`${column}\` ${after}`);
      added.push(`${name}: ${column} ${after}`);
    }
    if (columns.length > 0 && source.schema !== undefined)
      patches[name] = { schema: [source.schema.trim().replace(/,$/, ''), ...columns].join(', ') };
  }
  if (added.length > COLUMNS_MAX) return { text, added: [], left: ['more fields than a source may have'] };
  return { text: Object.keys(patches).length === 0 ? text : patchJobFile(text, { sources: patches }), added, left };
}

function cannotBeColumn(column: string): string | null {
  if (!plainName.test(column)) return 'its name is no plain name of letters, digits and _';
  return recordColumns.has(column.toLowerCase()) ? 'every record has a column of this name' : null;
}
