/** Functions over Protobuf messages, by the text of their .proto, and over Avro data, by the JSON of their schema. */
import type { Expr } from '../../../core/ast.ts';
import { isWeirError } from '../../../core/errors.ts';
import type { DataType } from '../../../core/types.ts';
import { avroColumn, parseAvro } from '../../formats/avro-schema.ts';
import type { AvroType } from '../../formats/avro-schema.ts';
import { avroOfValue, avroTarget } from '../../formats/avro-target.ts';
import type { AvroTargetProblem } from '../../formats/avro-target.ts';
import { messageNamed, parseProto, type ProtoMessage, protoColumns } from '../../formats/proto-schema.ts';
import { protoTarget } from '../../formats/proto-target.ts';
import { BINARY, STRING } from '../coercion.ts';
import { type Complaint, customFunction, fitAll, type FunctionDef } from '../function-table.ts';
import { stringLiteral } from '../literal.ts';
import {
  AvroMaker,
  AvroReader,
  fromAvro,
  fromProtobuf,
  ProtobufMaker,
  ProtobufReader,
  toAvro,
  toProtobuf,
} from '../runtime/formats.ts';
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
const avroOptions = ['mode', 'avroSchema'];

/** A schema that is written out as the argument `arg` of a call. */
function avroOf(text: string | undefined, arg: number): AvroType | Complaint {
  if (text === undefined)
    return { complaint: `takes the JSON of an Avro schema that is written out: '{"type":"record", …}'`, arg };
  try {
    return parseAvro({ schema: text, references: [] });
  } catch (error) {
    return refusedSchema(error, arg);
  }
}

function schemaComplaint(message: string, arg: number): Complaint {
  return { complaint: `cannot use this schema: ${message}`, arg };
}

function refusedSchema(error: unknown, arg: number): Complaint {
  if (!isWeirError(error, 'SCHEMA_INVALID')) throw error;
  const said = error.message.replace(/^The Avro schema cannot be read: /, '').replace(/\.$/, '');
  // There are no columns to list here.
  const hint = arg === 1 ? "read it as a schema without that, map('avroSchema', '…')" : 'take it out';
  return schemaComplaint(said.replace('list the columns under schema', hint), arg);
}

function unreadableText(path: string): string {
  const what = path === '' ? 'the value' : path;
  return `${what} cannot be made of what the data have; give a field that is new a default, and keep the types of the others or those that Avro promotes them to`;
}

/** As when the call was typed. */
function knownAvro(text: string | undefined): AvroType {
  const found = avroOf(text, 1);
  if ('complaint' in found) throw new TypeError(found.complaint);
  return found;
}

interface AvroSchemas {
  readonly writer: AvroType;
  /** What the data are read as; null = as they were written. */
  readonly reader: AvroType | null;
}

/** Of a call of from_avro. */
function avroSchemasOf([, schema, options]: readonly Expr[]): AvroSchemas | Complaint {
  const writer = avroOf(textOf(schema), 1);
  if ('complaint' in writer) return writer;
  const later = optionsOf(options)?.get('avroschema');
  if (later === undefined) return { writer, reader: null };
  const reader = avroOf(later, 2);
  return 'complaint' in reader ? reader : { writer, reader };
}

function avroComplaint({ message, hint }: AvroTargetProblem, arg: number): Complaint {
  return { complaint: `cannot write this value: ${message}; ${hint}`, arg };
}

export const formatFunctions: readonly FunctionDef[] = [
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
        return { args: fitted, type, nullable: isPermissive(fitted[3]) || fitted[0]?.nullable === true };
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
      const permissive = isPermissive(call.args[3]);
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([bytes]) => ({ boxed: `${g.fn(fromProtobuf)}(${bytes && g.boxed(bytes)}, ${reader}, rt, ${permissive})` }),
        { mayBeNull: permissive },
      );
    },
  }),
  customFunction({
    name: 'to_avro',
    group: 'avro',
    usage: 'to_avro(value [, \'{"type":"record", …}\'])',
    about:
      'The value in Avro, with a schema that is written out, fields by their names, or the one that Spark gives its type: ' +
      'unions with null for what may be NULL.',
    type(args) {
      const fitted = fitAll(args, ['any', STRING], 1);
      if ('complaint' in fitted) return fitted;
      const [input, given] = fitted as [Expr, Expr?];
      // The schema that follows from the type becomes part of the call, so that nothing after this changes the bytes.
      const own = given === undefined ? avroOfValue(input.type, input.nullable) : undefined;
      if (own !== undefined && 'problem' in own) return avroComplaint(own.problem, 0);
      const schema = own === undefined ? given : stringLiteral(own.schema);
      const avro = avroOf(textOf(schema), 1);
      if ('complaint' in avro) return avro;
      const outcome = avroTarget(input.type, avro);
      if ('problem' in outcome) return avroComplaint(outcome.problem, 0);
      return { args: [input, schema as Expr], type: BINARY, nullable: input.nullable };
    },
    emit(g, call) {
      g.fails();
      const [input, schema] = call.args as [Expr, Expr];
      const outcome = avroTarget(input.type, knownAvro(textOf(schema)));
      if ('problem' in outcome) throw new TypeError(outcome.problem.message);
      const maker = g.constant(new AvroMaker(outcome.target));
      return g.strict([input], BINARY, ([value]) => ({
        boxed: `${g.fn(toAvro)}(${value && g.boxed(value)}, ${maker})`,
      }));
    },
  }),
  customFunction({
    name: 'from_avro',
    group: 'avro',
    usage: 'from_avro(binary, \'{"type":"record", …}\' [, options])',
    about:
      'The value that Avro data of a schema hold, which is written out; what is no such datum raises, or with ' +
      "map('mode', 'PERMISSIVE') is NULL. avroSchema: a later schema that the data are read as.",
    type(args) {
      const fitted = fitAll(args, [BINARY, STRING, OPTIONS], 1);
      if ('complaint' in fitted) return fitted;
      const wrong = wrongOptions(fitted[2], avroOptions, 2);
      if (wrong !== undefined) return wrong;
      const schemas = avroSchemasOf(fitted);
      if ('complaint' in schemas) return schemas;
      const { writer, reader } = schemas;
      const arg = reader === null ? 1 : 2;
      try {
        const { type, nullable } = avroColumn(reader ?? writer);
        // Compiles the schemas: what no data can become is said here, and not of every record.
        const { unreadable } = new AvroReader(writer, reader);
        if (unreadable !== undefined) return schemaComplaint(unreadableText(unreadable), arg);
        return { args: fitted, type, nullable: nullable || isPermissive(fitted[2]) || fitted[0]?.nullable === true };
      } catch (error) {
        return refusedSchema(error, arg);
      }
    },
    emit(g, call) {
      g.fails();
      const schemas = avroSchemasOf(call.args);
      if ('complaint' in schemas) throw new TypeError(schemas.complaint);
      const reader = g.constant(new AvroReader(schemas.writer, schemas.reader));
      const permissive = isPermissive(call.args[2]);
      const { nullable } = avroColumn(schemas.reader ?? schemas.writer);
      return g.strict(
        call.args.slice(0, 1),
        call.type,
        ([bytes]) => ({ boxed: `${g.fn(fromAvro)}(${bytes && g.boxed(bytes)}, ${reader}, rt, ${permissive})` }),
        { mayBeNull: permissive || nullable },
      );
    },
  }),
];

function isPermissive(options: Expr | undefined): boolean {
  return optionsOf(options)?.get('mode')?.toUpperCase() === 'PERMISSIVE';
}
