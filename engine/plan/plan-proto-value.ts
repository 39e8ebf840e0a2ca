/** Rows as the message of a .proto that a job gives: which columns go into which fields, or why they do not. */
import { isWeirError } from '../../core/errors.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import type { Schema } from '../../core/types.ts';
import type { ProtoFile, ProtoMessage } from '../formats/proto-schema.ts';
import { messageNamed, parseProto, pathOfMessage } from '../formats/proto-schema.ts';
import { protoTarget } from '../formats/proto-target.ts';
import type { SchemaText } from '../formats/value-format.ts';
import type { SchemaValue } from './stage-plan.ts';

export interface PlannedProtoValue {
  /** undefined where there are problems. */
  readonly value: SchemaValue | undefined;
  readonly problems: readonly JobProblem[];
  readonly warnings: readonly string[];
}

interface ProtoOptions {
  readonly references?: SchemaText['references'] | undefined;
  readonly message?: string | undefined;
}

/** `path`: of the options in the job file. */
export function planProtoValue(
  schema: string,
  { references = [], message: name }: ProtoOptions,
  columns: Schema,
  path: string,
  registration: SchemaValue['registration'],
): PlannedProtoValue {
  const refused = (...problems: JobProblem[]): PlannedProtoValue => ({ value: undefined, problems, warnings: [] });
  let file: ProtoFile;
  let message: ProtoMessage;
  try {
    file = parseProto({ schema, references });
    message = messageNamed(file, name ?? null);
  } catch (error) {
    if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
    return refused({ path: `${path}.schema`, message: error.message });
  }
  if (registration !== null && pathOfMessage(file, message) === undefined)
    return refused({
      path: `${path}.message`,
      message: `the message ${message.name} is imported, and records name one of the text that is registered`,
      hint: 'give the text that declares it as schema',
    });
  const { problems, defaulted } = protoTarget(columns, message, schema);
  if (problems.length > 0) return refused(...problems.map((problem) => ({ path: 'query', ...problem })));
  const value: SchemaValue = {
    kind: 'protobuf',
    schema,
    ...(references.length === 0 ? {} : { references }),
    message: message.name,
    registration,
  };
  return { value, problems: [], warnings: defaulted.length === 0 ? [] : [defaultsWarning(defaulted, message)] };
}

function defaultsWarning(columns: readonly string[], { name }: ProtoMessage): string {
  const [first] = columns;
  const those = columns.length === 1 ? `the column ${first}` : `the columns ${columns.join(', ')}`;
  return (
    `${those} may be NULL, and the fields of ${name} have no presence: readers see 0, false or '' there; ` +
    'declare them optional, or give the columns a value with coalesce'
  );
}
