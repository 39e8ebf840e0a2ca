/** Rows as the driver decoded them → printable values of core/table/values.ts, the same as for embedded tables. */
import cassandra from 'cassandra-driver';
import type { types as driverTypes } from 'cassandra-driver';
import type { QueryResult } from '../../core/ports.ts';
import { type CqlScalar, cqlScalars, type CqlType, formatCqlType } from '../../core/table/schema.ts';
import { decodeValue } from '../../core/table/values.ts';

/** A type as the protocol's result metadata has it. */
interface DriverType {
  readonly code: number;
  readonly info?: unknown;
}

interface DriverUdt {
  readonly keyspace: string;
  readonly name: string;
  readonly fields: readonly { readonly name: string; readonly type: DriverType }[];
}

const { dataTypes } = cassandra.types;
const scalars = new Map<number, CqlScalar>(cqlScalars.map((kind) => [dataTypes[kind], kind]));
scalars.set(dataTypes.varchar, 'text');

/** Turns the driver's objects back into the bytes they came from. */
const { Encoder } = cassandra as unknown as {
  // Exported by the driver, missing in its types.
  readonly Encoder: new (
    version: number,
    options: object,
  ) => { encode(value: unknown, type: DriverType): Buffer | null };
};
const encoder = new Encoder(4, { encoding: { map: Map, set: Set } });

export function printRows(result: driverTypes.ResultSet): QueryResult {
  const columns = (result.columns ?? []).map((column) => ({
    name: column.name,
    type: column.type as DriverType,
    cql: cqlType(column.type as DriverType),
  }));
  return {
    columns: columns.map((column) => ({ name: column.name, type: formatCqlType(column.cql) })),
    rows: (result.rows ?? []).map((row) =>
      columns.map((column) => printValue(column.cql, column.type, row[column.name])),
    ),
  };
}

/** Containers are walked, as the driver's encoder would turn empty ones into null. */
function printValue(cql: CqlType, type: DriverType, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  switch (cql.kind) {
    case 'list':
    case 'set':
      return Array.from(value as Iterable<unknown>, (element) =>
        printValue(cql.element, type.info as DriverType, element),
      );
    case 'map': {
      const [keyType, valueType] = type.info as readonly [DriverType, DriverType];
      return Object.fromEntries(
        Array.from(value as Map<unknown, unknown>, ([key, item]) => {
          const printed = printValue(cql.key, keyType, key);
          return [
            typeof printed === 'string' ? printed : JSON.stringify(printed),
            printValue(cql.value, valueType, item),
          ];
        }),
      );
    }
    case 'tuple': {
      const elements = (value as driverTypes.Tuple).values() as readonly unknown[];
      return cql.elements.map((element, index) =>
        printValue(element, (type.info as readonly DriverType[])[index]!, elements[index]),
      );
    }
    case 'udt': {
      const fields = new Map(Object.entries(value));
      const types = (type.info as DriverUdt).fields;
      return Object.fromEntries(
        cql.fields.map((field, index) => [
          field.name,
          printValue(field.type, types[index]!.type, fields.get(field.name)),
        ]),
      );
    }
    case 'custom':
      return String(value);
    default:
      return decodeValue(cql, encoder.encode(value, type));
  }
}

function cqlType(type: DriverType): CqlType {
  const scalar = scalars.get(type.code);
  if (scalar !== undefined) return { kind: scalar };
  switch (type.code) {
    case dataTypes.list:
    case dataTypes.set:
      return {
        kind: type.code === dataTypes.list ? 'list' : 'set',
        element: cqlType(type.info as DriverType),
        frozen: false,
      };
    case dataTypes.map: {
      const [key, value] = type.info as readonly [DriverType, DriverType];
      return { kind: 'map', key: cqlType(key), value: cqlType(value), frozen: false };
    }
    case dataTypes.tuple:
      return { kind: 'tuple', elements: (type.info as readonly DriverType[]).map(cqlType) };
    case dataTypes.udt: {
      const udt = type.info as DriverUdt;
      const fields = udt.fields.map((field) => ({ name: field.name, type: cqlType(field.type) }));
      return { kind: 'udt', keyspace: udt.keyspace, name: udt.name, fields, frozen: false };
    }
    default:
      return { kind: 'custom', text: typeof type.info === 'string' ? `'${type.info}'` : 'custom' };
  }
}
