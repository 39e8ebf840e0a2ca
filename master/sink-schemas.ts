/** Schemas that a job's sinks write with: looked up when the job is checked, registered when it is accepted. */
import type { JobProblem } from '../core/job/problem.ts';
import type { JobPlan } from '../engine/plan/job-plan.ts';
import { sinkPlansOf } from '../engine/plan/job-plan.ts';
import type { SchemaValue, SinkPlan } from '../engine/plan/stage-plan.ts';

type Registration = NonNullable<SchemaValue['registration']>;

/** A schema as a registry calls its kinds. */
export type SchemaKind = 'AVRO' | 'PROTOBUF';

/** A schema that a sink writes with. */
export interface SinkSchema {
  readonly kind: SchemaKind;
  /** Its JSON, or the text of a .proto. */
  readonly schema: string;
  /** Texts that a .proto imports, each before those that import it. */
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}

/** All throw: SCHEMA_REGISTRY_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID. `registry`: its address, '' = the default one. */
export interface SchemaSubjects {
  /** The id of a schema under a subject; undefined when the subject does not have it. */
  find(registry: string, subject: string, schema: SinkSchema): Promise<number | undefined>;
  /** Whether the subject would take the schema beside the latest one it has. */
  accepts(registry: string, subject: string, schema: SinkSchema): Promise<boolean>;
  /** The id, of the same schema always the same. Throws also: SCHEMA_REFUSED. */
  register(registry: string, subject: string, schema: SinkSchema): Promise<number>;
}

export interface SinkSchemas {
  /** With the ids of all schemas that are registered. */
  readonly plan: JobPlan;
  readonly problems: readonly JobProblem[];
}

/** Changes nothing: what its subject does not have yet stays without an id, and is a problem if the subject refuses it. */
export async function knownSinkSchemas(plan: JobPlan, subjects: SchemaSubjects): Promise<SinkSchemas> {
  const problems: JobProblem[] = [];
  const known = await withIds(plan, async ({ registry, subject }, value, index) => {
    const schema = schemaOf(value);
    const id = await subjects.find(registry, subject, schema);
    if (id === undefined && !(await subjects.accepts(registry, subject, schema))) {
      problems.push({
        path: `sinks[${index}].${value.kind}`,
        message: `the subject ${subject} does not take the schema of the result: it is not compatible with the one it has`,
        hint: 'keep the columns that readers need, name another subject, or change its compatibility in the registry',
      });
    }
    return id ?? null;
  });
  return { plan: known, problems };
}

/** Registers what has no id. Throws: as {@link SchemaSubjects.register}. */
export async function registeredSinkSchemas(plan: JobPlan, subjects: SchemaSubjects): Promise<JobPlan> {
  return await withIds(
    plan,
    async ({ registry, subject, id }, value) => id ?? (await subjects.register(registry, subject, schemaOf(value))),
  );
}

async function withIds(
  plan: JobPlan,
  idOf: (registration: Registration, value: SchemaValue, index: number) => Promise<number | null>,
): Promise<JobPlan> {
  const sinks: SinkPlan[] = [];
  for (const [index, sink] of sinkPlansOf(plan).entries()) {
    if (sink.kind === 'log' && typeof sink.value === 'object' && sink.value.registration !== null) {
      const { registration } = sink.value;
      const id = await idOf(registration, sink.value, index);
      sinks.push({ ...sink, value: { ...sink.value, registration: { ...registration, id } } });
    } else sinks.push(sink);
  }
  if (plan.protocol === 'epochs') return { ...plan, sinkPlans: sinks };
  const sources = plan.sources.map((source) => ({ ...source, stage: { ...source.stage, sinks } }));
  return { ...plan, sources };
}

function schemaOf({ kind, schema, references = [] }: SchemaValue): SinkSchema {
  return { kind: kind === 'avro' ? 'AVRO' : 'PROTOBUF', schema, references };
}
