/** Connectors of packages in a plan: only those that the cluster's operator allows, with the options that they describe. */
import type { ConnectorManifest } from '../../core/job/connector-manifest.ts';
import { checkOptions } from '../../core/job/connector-manifest.ts';
import type { JobProblem } from '../../core/job/problem.ts';
import { didYouMean } from '../sql/problems.ts';
import type { PlanFacts } from './analyzed-job.ts';

export interface PackageUse {
  /** Where the job file names it: `sinks[0]`, `sources.users`. */
  readonly path: string;
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface PackagePart<K extends 'sink' | 'source'> {
  readonly manifest: NonNullable<ConnectorManifest[K]>;
  /** With the defaults of the manifest. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Adds what is wrong to `problems`; undefined then. */
export function packagePart<K extends 'sink' | 'source'>(
  kind: K,
  { path, name, options }: PackageUse,
  facts: Pick<PlanFacts, 'connectors'>,
  problems: JobProblem[],
): PackagePart<K> | undefined {
  const allowed = facts.connectors ?? new Map<string, ConnectorManifest>();
  const manifest = allowed.get(name);
  if (manifest === undefined) {
    problems.push({
      path: `${path}.connector`,
      message: `there is no connector ${name}: it is not built in, and the package weir-connector-${name} is not one that jobs may use`,
      hint:
        didYouMean(name, [...allowed.keys()]) ??
        `install it where masters and workers run, and name it in their variable WEIR_CONNECTORS=${[...allowed.keys(), name].join(',')}`,
    });
    return undefined;
  }
  const part: ConnectorManifest['sink'] | ConnectorManifest['source'] = manifest[kind];
  if (part === undefined) {
    const other = kind === 'sink' ? 'a source' : 'a sink';
    problems.push({ path: `${path}.connector`, message: `the connector ${name} is ${other}, and no ${kind}` });
    return undefined;
  }
  const checked = checkOptions(part, path, options);
  problems.push(...checked.problems);
  if (checked.problems.length > 0) return undefined;
  return { manifest: part as NonNullable<ConnectorManifest[K]>, options: checked.options };
}
