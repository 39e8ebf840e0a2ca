/**
 * Connectors of packages in a job file. `connector: acme` with the options of acme beside it is the short form of
 * `connector: package, name: acme, options: {…}`, which is what the schema of job files knows.
 */
import { connectorNamePattern } from './connector-names.ts';
import { similarWord } from './similar.ts';
import { logOptionNames, sourceConnectors } from './source-spec.ts';
import { sinkSchemas } from './sink-spec.ts';

const sinkConnectors = sinkSchemas.map(({ shape }) => String(shape.connector.value));

/** The document of a job file with short forms written out; what is not one stays as it is, for the schema to judge. */
export function writeOutConnectors(document: unknown): unknown {
  if (!isMap(document)) return document;
  const { sources, sinks } = document;
  return {
    ...document,
    ...(isMap(sources) && {
      sources: Object.fromEntries(
        Object.entries(sources).map(([name, source]) => [name, writtenOut(source, sourceConnectors, logOptionNames)]),
      ),
    }),
    ...(Array.isArray(sinks) && { sinks: sinks.map((sink: unknown) => writtenOut(sink, sinkConnectors, new Set())) }),
  };
}

/** A name that is nearly one of the built-in ones is a mistake, and no package. */
function writtenOut(value: unknown, builtIn: readonly string[], kept: ReadonlySet<string>): unknown {
  if (!isMap(value)) return value;
  const { connector, ...rest } = value;
  if (typeof connector !== 'string' || !connectorNamePattern.test(connector)) return value;
  if (builtIn.includes(connector) || similarWord(connector, builtIn) !== undefined) return value;
  const entries = Object.entries(rest);
  return {
    connector: 'package',
    name: connector,
    ...Object.fromEntries(entries.filter(([name]) => kept.has(name))),
    options: Object.fromEntries(entries.filter(([name]) => !kept.has(name))),
  };
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
