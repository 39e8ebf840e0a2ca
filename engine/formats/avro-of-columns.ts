/** The Avro schema of a result: what a sink registers, and what its records are written with. */
import { type DataType, formatType, type Schema } from '../../core/types.ts';
import { avroOfSimple } from './avro-schema.ts';

/** A column that Avro cannot hold. */
export interface AvroProblem {
  readonly column: string;
  readonly message: string;
  readonly hint: string;
}

export type AvroOfColumns =
  | { readonly schema: string; readonly problems: readonly [] }
  | { readonly schema: null; readonly problems: readonly AvroProblem[] };

/** Names as Avro's specification has them. */
const namePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * A record with a field per column, in their order. What may be NULL is a union with null first and the default null, so
 * that columns can come and go without breaking readers. Numbers below INT are `int`, TIMESTAMP is `timestamp-micros`,
 * DECIMAL is `bytes` with its precision and scale; records in it are called by the path that leads to them.
 *
 * `name`: of the record, with a namespace or without.
 */
export function avroOfColumns(columns: Schema, name: string): AvroOfColumns {
  const writer = new SchemaWriter();
  const schema = writer.record(columns, name);
  return writer.problems.length === 0
    ? { schema: JSON.stringify(schema), problems: [] }
    : { schema: null, problems: writer.problems };
}

/** The text as the name of a record: a topic's for one that is given none. */
export function avroNameOf(text: string): string {
  const name = text.replaceAll(/[^A-Za-z0-9_]/g, '_');
  return namePattern.test(name) ? name : `_${name}`;
}

class SchemaWriter {
  readonly problems: AvroProblem[] = [];
  /** Names of records may not come twice. */
  readonly #names = new Set<string>();
  #column = '';

  record(columns: Schema, path: string): unknown {
    const name = this.#unusedName(path);
    const isOuter = this.#names.size === 1;
    const fields = columns.map(({ name: field, type, nullable }) => {
      if (isOuter) this.#column = field;
      if (!namePattern.test(field))
        this.#problem(
          `"${field}" is no name that Avro takes`,
          'give it one with AS: a letter or _, then letters, digits and _',
        );
      const avro = this.#type(type, `${path}_${field}`);
      return nullable ? { name: field, type: ['null', avro], default: null } : { name: field, type: avro };
    });
    return { type: 'record', name, fields };
  }

  #type(type: DataType, path: string): unknown {
    switch (type.kind) {
      case 'decimal':
        return { type: 'bytes', logicalType: 'decimal', precision: type.precision, scale: type.scale };
      case 'array':
        return { type: 'array', items: orNull(this.#type(type.element, path), type.containsNull) };
      case 'map':
        if (type.key.kind !== 'string')
          this.#problem(`keys of Avro's maps are STRING, not ${formatType(type.key)}`, 'make it an ARRAY of STRUCTs');
        return { type: 'map', values: orNull(this.#type(type.value, path), type.valueContainsNull) };
      case 'struct':
        return this.record(type.fields, path);
      case 'null':
      case 'interval':
        this.#problem(`Avro has no type for ${formatType(type)}`, 'write a CAST');
        return 'null';
      default:
        return avroOfSimple(type);
    }
  }

  #problem(message: string, hint: string): void {
    this.problems.push({ column: this.#column, message, hint });
  }

  #unusedName(path: string): string {
    let name = path;
    for (let count = 2; this.#names.has(name); count++) name = `${path}_${count}`;
    this.#names.add(name);
    return name;
  }
}

function orNull(type: unknown, isNullable: boolean): unknown {
  return isNullable ? ['null', type] : type;
}
