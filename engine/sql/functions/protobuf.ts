/** Functions over Protobuf messages, by the text of their .proto. */
import type { Expr } from '../../../core/ast.ts';
import { isWeirError } from '../../../core/errors.ts';
import type { DataType } from '../../../core/types.ts';
import { messageNamed, parseProto, type ProtoMessage, protoColumns } from '../../formats/proto-schema.ts';
import { protoTarget } from '../../formats/proto-target.ts';
import { BINARY, STRING } from '../coercion.ts';
import { type Complaint, customFunction, fitAll, type FunctionDef } from '../function-table.ts';
import { fromProtobuf, ProtobufMaker, ProtobufReader, toProtobuf } from '../runtime/protobuf.ts';
import { OPTIONS, optionsOf, textOf, wrongOptions } from './json.ts';

interface NamedMessage {
  readonly message: ProtoMessage;
  /** Of the .proto. */
  readonly schema: string;
}

/** The message that the second and the third argument of a call name. */
function messageOf(args: readonly Expr[]): NamedMessage | Complaint {
  const [name, schema] = args.slice(1, 3).map(textOf);
  if (name === undefined) return { complaint: 'takes the name of a message that is written out', arg: 1 };
  if (schema === undefined) return { complaint: 'takes the text of a .proto that is written out', arg: 2 };
  try {
    return { message: messageNamed(parseProto({ schema, references: [] }), name), schema };
  } catch (error) {
    if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
    return complaintOf(error.message, 2);
  }
}

/** The complaint is the end of a sentence. */
function complaintOf(message: string, arg: number): Complaint {
  return { complaint: `cannot use this message: ${message.replace(/\.$/, '')}`, arg };
}

/** As when the call was typed. */
function knownMessage(args: readonly Expr[]): NamedMessage {
  const found = messageOf(args);
  if ('complaint' in found) throw new TypeError(found.complaint);
  return found;
}

/** Path of a field with a default of its own; the message does not contain itself. */
function fieldWithDefault({ fields }: ProtoMessage): string | undefined {
  for (const { name, type, hasDefault } of fields) {
    if (hasDefault) return name;
    const within = type.kind === 'message' ? fieldWithDefault(type.message) : undefined;
    if (within !== undefined) return `${name}.${within}`;
  }
  return undefined;
}

const readOptions = ['mode'];

export const protobufFunctions: readonly FunctionDef[] = [
  customFunction({
    name: 'to_protobuf',
    group: 'protobuf',
    usage: "to_protobuf(struct, 'Message', 'message Message { … }')",
    about: 'The struct as a message of a .proto that is written out, fields by their names; NULLs are left out.',
    type(args) {
      const fitted = fitAll(args, ['struct', STRING, STRING]);
      if ('complaint' in fitted) return fitted;
      const found = messageOf(fitted);
      if ('complaint' in found) return found;
      const [input] = fitted as [Expr];
      const columns = input.type.kind === 'struct' ? input.type.fields : [];
      const [problem] = protoTarget(columns, found.message, found.schema).problems;
      if (problem !== undefined) return complaintOf(`${problem.message}; ${problem.hint}`, 0);
      return { args: fitted, type: BINARY, nullable: input.nullable };
    },
    emit(g, call) {
      g.fails();
      const { message, schema } = knownMessage(call.args);
      const type = call.args[0]?.type as Extract<DataType, { kind: 'struct' }>;
      const maker = g.constant(new ProtobufMaker(protoTarget(type.fields, message, schema).message, type));
      return g.strict(call.args.slice(0, 1), BINARY, ([value]) => ({
        boxed: `${g.fn(toProtobuf)}(${value?.v}, ${maker}, rt)`,
      }));
    },
  }),
  customFunction({
    name: 'from_protobuf',
    group: 'protobuf',
    usage: "from_protobuf(binary, 'Message', 'message Message { … }' [, options])",
    about:
      'The struct that a message of a .proto holds, which is written out; what is no such message raises, or with ' +
      "map('mode', 'PERMISSIVE') is NULL.",
    type(args) {
      const fitted = fitAll(args, [BINARY, STRING, STRING, OPTIONS], 1);
      if ('complaint' in fitted) return fitted;
      const found = messageOf(fitted);
      if ('complaint' in found) return found;
      const wrong = wrongOptions(fitted[3], readOptions, 3);
      if (wrong !== undefined) return wrong;
      try {
        const type: DataType = { kind: 'struct', fields: protoColumns(found.message) };
        const defaulted = fieldWithDefault(found.message);
        if (defaulted !== undefined)
          return complaintOf(
            `the field ${defaulted} has a default of its own, which is not read; take [default = …] away`,
            2,
          );
        return { args: fitted, type, nullable: isPermissive(fitted) || fitted[0]?.nullable === true };
      } catch (error) {
        if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
        return complaintOf(`the message ${found.message.name} contains itself, which a struct cannot`, 2);
      }
    },
    emit(g, call) {
      g.fails();
      const { message, schema } = knownMessage(call.args);
      const type = call.type as Extract<DataType, { kind: 'struct' }>;
      const reader = g.constant(new ProtobufReader(schema, message, type.fields));
      const permissive = isPermissive(call.args);
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([bytes]) => ({ boxed: `${g.fn(fromProtobuf)}(${bytes && g.boxed(bytes)}, ${reader}, rt, ${permissive})` }),
        { mayBeNull: permissive },
      );
    },
  }),
];

function isPermissive(args: readonly Expr[]): boolean {
  return optionsOf(args[3])?.get('mode')?.toUpperCase() === 'PERMISSIVE';
}
