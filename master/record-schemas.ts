/** Schemas of records that a job's sources leave to a registry, asked for when the job is submitted. */
import type { JobProblem } from '../core/job/problem.ts';
import type { JobSpec } from '../core/job/spec.ts';
import type { PlanFacts } from '../engine/plan/analyzed-job.ts';
import { registryQuestion } from '../engine/plan/source-format.ts';

type Schemas = NonNullable<PlanFacts['recordSchemas']>;
type SchemaText = Schemas extends ReadonlyMap<string, infer T> ? T : never;

export interface LatestSchemas {
  /** undefined = the subject has none. Throws: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID. */
  latest(
    registry: string,
    subject: string,
  ): Promise<(SchemaText & { readonly type: 'AVRO' | 'PROTOBUF' | 'JSON' }) | undefined>;
}

export interface RecordSchemas {
  /** By the name of the source. */
  readonly schemas: Schemas;
  readonly problems: readonly JobProblem[];
}

/** What the job's plan has to know of registries; the plan keeps it, so that a later version changes nothing by itself. */
export async function recordSchemasOf(spec: JobSpec, registries: LatestSchemas): Promise<RecordSchemas> {
  const schemas = new Map<string, SchemaText>();
  const problems: JobProblem[] = [];
  for (const [name, source] of Object.entries(spec.sources)) {
    const question = registryQuestion(source);
    if (question === undefined) continue;
    const path = `sources.${name}`;
    const found = await registries.latest(question.registry, question.subject);
    if (found === undefined) {
      problems.push({
        path,
        message: `the registry has no subject ${question.subject}`,
        hint: `register the schema first, name another subject, or list the columns: schema: 'id STRING NOT NULL'`,
      });
    } else if (found.type.toLowerCase() !== source.format) {
      problems.push({
        path,
        message: `the subject ${question.subject} is ${found.type}, and the source has format: ${source.format}`,
        hint: 'change the format, or name another subject',
      });
    } else schemas.set(name, { schema: found.schema, references: found.references });
  }
  return { schemas, problems };
}
