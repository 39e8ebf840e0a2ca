/**
 * What a package of a connector says of itself, in its `weir-connector.json`: enough to check and plan a job without
 * loading its code, which masters never do.
 */
import { z } from 'zod';
import { WeirError } from '../errors.ts';
import { connectorNamePattern } from './connector-names.ts';
import type { JobProblem } from './problem.ts';

/** JSON Schema of the options that stand beside `connector` in a job file. */
const options = z
  .looseObject({ type: z.literal('object') })
  .default({ type: 'object', properties: {}, additionalProperties: false });

const sinkManifest = z.strictObject({
  about: z.string().min(1).describe('For people: where rows go'),
  format: z.enum(['json', 'csv']).default('json').describe('How rows come: see RowFormat'),
  guarantee: z.enum(['exactlyOnce', 'atLeastOnce']).describe('What its contract suite has shown'),
  outputModes: z
    .array(z.enum(['append', 'update', 'complete']))
    .min(1)
    .default(['append']),
  options,
});
const sourceManifest = z.strictObject({ about: z.string().min(1).describe('For people: what it reads'), options });

const manifestSchema = z
  .strictObject({
    $schema: z.string().optional(),
    formatVersion: z.literal(1),
    name: z.string().max(40).regex(connectorNamePattern, 'a name is words of a-z and 0-9 with - between them'),
    sink: sinkManifest.optional(),
    source: sourceManifest.optional(),
  })
  .refine(({ sink, source }) => sink !== undefined || source !== undefined, 'it describes neither a sink nor a source');

export type ConnectorManifest = z.output<typeof manifestSchema>;
export type SinkManifest = NonNullable<ConnectorManifest['sink']>;

/** `place`: for messages. Throws: CONFIG_INVALID. */
export function parseManifest(place: string, text: string): ConnectorManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `${place} is no JSON.`, { cause });
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const at = issue === undefined || issue.path.length === 0 ? '' : `${issue.path.join('.')}: `;
    throw new WeirError('CONFIG_INVALID', `${place} is no description of a connector: ${at}${issue?.message}.`);
  }
  for (const part of [parsed.data.sink, parsed.data.source]) if (part !== undefined) schemaOf(place, part.options);
  return parsed.data;
}

export interface CheckedOptions {
  /** As written, with the defaults of the schema. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly problems: readonly JobProblem[];
}

/** Holds the options of a job file against the schema of a manifest; `path` of the connector in the file. */
export function checkOptions(
  part: Pick<SinkManifest, 'options'>,
  path: string,
  given: Readonly<Record<string, unknown>>,
): CheckedOptions {
  const parsed = schemaOf(path, part.options).safeParse(given);
  if (parsed.success) return { options: parsed.data as Record<string, unknown>, problems: [] };
  const known = Object.keys((part.options['properties'] as object | undefined) ?? {});
  const problems = parsed.error.issues.flatMap((issue): JobProblem[] => {
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: [path, ...issue.path, key].join('.'),
        message: `${path} has no option ${key}`,
        hint: `options here: ${known.join(', ')}`,
      }));
    const place = [path, ...issue.path].join('.');
    return [{ path: place, message: `${place}: ${firstLower(issue.message)}` }];
  });
  return { options: {}, problems };
}

function schemaOf(place: string, schema: object): z.ZodType {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `${place}: its options are no JSON Schema that can be checked here.`, {
      cause,
    });
  }
}

function firstLower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
