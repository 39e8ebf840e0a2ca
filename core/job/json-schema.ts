/** The job file's schema as JSON Schema, for editors and for "did you mean". */
import { z } from 'zod';
import { jobSpecSchema } from './spec.ts';

/** The part of JSON Schema that zod's export uses and Weir reads. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

let exported: JsonSchema | undefined;

/** JSON Schema (draft 7) of a job file as a user writes it: defaults are optional. */
export function jobJsonSchema(): JsonSchema {
  exported ??= z.toJSONSchema(jobSpecSchema, { target: 'draft-7', io: 'input' }) as JsonSchema;
  return exported;
}

/** The schemas that may stand at `path` of `document`; several where a union leaves it open. */
export function schemasAt(document: unknown, path: readonly PropertyKey[]): JsonSchema[] {
  let schemas = alternatives(jobJsonSchema(), document);
  let value = document;
  for (const key of path) {
    value = childOf(value, key);
    schemas = schemas.flatMap((schema) => childSchemas(schema, key)).flatMap((schema) => alternatives(schema, value));
  }
  return schemas;
}

/** The keys an object at `path` may have. */
export function knownKeys(document: unknown, path: readonly PropertyKey[]): string[] {
  return [...new Set(schemasAt(document, path).flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

function alternatives(schema: JsonSchema, value: unknown): JsonSchema[] {
  const options = schema.oneOf ?? schema.anyOf;
  if (options === undefined) return [schema];
  const matching = options.filter((option) => sameConnector(option, value));
  return (matching.length > 0 ? matching : options).flatMap((option) => alternatives(option, value));
}

function sameConnector(schema: JsonSchema, value: unknown): boolean {
  const connector = schema.properties?.['connector']?.const;
  return connector === undefined || connector === childOf(value, 'connector');
}

function childSchemas(schema: JsonSchema, key: PropertyKey): JsonSchema[] {
  if (typeof key === 'number') return schema.items === undefined ? [] : [schema.items];
  const properties = schema.properties ?? {};
  const own = Object.hasOwn(properties, key) ? properties[String(key)] : undefined;
  if (own !== undefined) return [own];
  return typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : [];
}

/** What stands at `key` of an object or array of a document; own properties only. */
export function childOf(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}
