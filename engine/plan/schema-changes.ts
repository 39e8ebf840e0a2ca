/** What has become of the schemas of a job's sources at their registry, from one plan of the job to the next. */
import type { Schema } from '../../core/types.ts';
import { avroColumns, parseAvro } from '../formats/avro-schema.ts';
import { columnChanges, describeColumnChange } from '../formats/column-changes.ts';
import { messageNamed, parseProto, protoColumns } from '../formats/proto-schema.ts';
import type { ValueFormat } from '../formats/value-format.ts';
import { registryOf } from '../formats/value-format.ts';
import type { JobPlan } from './job-plan.ts';

/** For people, by source; those whose columns are the same, or not a registry's in both plans, are left out. */
export function schemaChanges(before: JobPlan, after: JobPlan): ReadonlyMap<string, readonly string[]> {
  const former = formatsOf(before);
  const found = new Map<string, readonly string[]>();
  for (const [source, format] of formatsOf(after)) {
    const [was, is] = [registeredColumns(former.get(source)), registeredColumns(format)];
    const changes = was === undefined || is === undefined ? [] : columnChanges(was, is);
    if (changes.length > 0) found.set(source, changes.map(describeColumnChange));
  }
  return found;
}

function formatsOf(plan: JobPlan): ReadonlyMap<string, ValueFormat> {
  if (plan.protocol === 'lanes') return new Map(plan.sources.map(({ name, stage }) => [name, stage.format]));
  return new Map(
    plan.stages.flatMap((stage) => (stage.kind === 'map' ? [[stage.source, stage.scan.format] as const] : [])),
  );
}

/** All columns that the schema has, whatever the query reads of them. */
function registeredColumns(format: ValueFormat | undefined): Schema | undefined {
  if (format === undefined || registryOf(format) === null) return undefined;
  if (typeof format !== 'object' || format.kind === 'csv' || format.schema === null) return undefined;
  if (format.kind === 'avro') return avroColumns(parseAvro(format.schema));
  return protoColumns(messageNamed(parseProto(format.schema), format.message));
}
