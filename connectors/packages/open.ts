/** Opens sinks and sources of packages in a worker. */
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { Feed } from '../../core/feed/feed.ts';
import { checkOptions } from '../../core/job/connector-manifest.ts';
import type { PackageFeedSpec } from '../../core/job/feed-spec.ts';
import type { RowSink, RowSinkConnector, RowSinkPlan } from '../../core/row-sink.ts';
import type { Connector, ConnectorContext, ConnectorOptions } from '../../core/connector.ts';
import { secretsOf } from '../http/secrets.ts';
import { GuardedFeed, GuardedSink, connectorError } from './guarded.ts';
import { loadConnector, readManifest } from './packages.ts';

export interface PackageParts {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly requireHost: (host: string) => Promise<void>;
}

function contextOf({ env, clock, rng, requireHost }: PackageParts): ConnectorContext {
  return { clock, rng, secret: secretsOf(env), requireHost };
}

/** The sinks of one package. */
export class PackageSinks implements RowSinkConnector {
  readonly #name: string;
  readonly #connector: Connector;
  readonly #parts: PackageParts;

  private constructor(name: string, connector: Connector, parts: PackageParts) {
    this.#name = name;
    this.#connector = connector;
    this.#parts = parts;
  }

  /** Throws: FORBIDDEN, CONFIG_INVALID. */
  static async load(name: string, parts: PackageParts): Promise<PackageSinks> {
    return new PackageSinks(name, await loadConnector(parts.env, name), parts);
  }

  describe(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  create(): Promise<void> {
    return Promise.resolve();
  }

  async open({ job, name: sink, format, settings }: RowSinkPlan): Promise<RowSink> {
    const options = JSON.parse(String(settings['options'] ?? '{}')) as ConnectorOptions;
    if (this.#connector.openSink === undefined) throw notOne(this.#name, 'sink');
    try {
      const opened = await this.#connector.openSink({ job, sink, options, format }, contextOf(this.#parts));
      const { clock, rng } = this.#parts;
      return new GuardedSink({ connector: this.#name, sink: opened, clock, rng });
    } catch (error) {
      throw connectorError(this.#name, error);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Throws: FORBIDDEN, CONFIG_INVALID; what opening it throws. */
export async function openPackageFeed({ name, options }: PackageFeedSpec, parts: PackageParts): Promise<Feed> {
  const manifest = readManifest(parts.env, name).source;
  const connector = await loadConnector(parts.env, name);
  if (manifest === undefined || connector.openSource === undefined) throw notOne(name, 'source');
  const checked = checkOptions(manifest, name, options);
  const [problem] = checked.problems;
  if (problem !== undefined) throw new WeirError('CONFIG_INVALID', `The source is not right: ${problem.message}.`);
  try {
    return new GuardedFeed(name, await connector.openSource({ options: checked.options }, contextOf(parts)));
  } catch (error) {
    throw connectorError(name, error);
  }
}

function notOne(name: string, kind: 'sink' | 'source'): WeirError {
  return new WeirError('CONFIG_INVALID', `The connector ${name} of this worker's package is no ${kind}.`);
}
