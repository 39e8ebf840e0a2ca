/** Feeds and the topics that they fill. */
import type { FeedSpec } from './feed-spec.ts';
import { feedOptions, feedSpecSchema } from './feed-spec.ts';
import { logOptionNames, sourceConnectors } from './source-spec.ts';
import type { JobSpec, SourceSpec } from './spec.ts';

/** What the plan says of a feed: its own options, and how many of the latest rows are remembered. */
export interface PlannedFeed {
  readonly spec: FeedSpec;
  readonly remember: number;
}

/** The feed behind a source; undefined for a log that others fill. */
export function feedOf(source: SourceSpec): PlannedFeed | undefined {
  if (source.connector === 'kafka') return undefined;
  // Generated rows never repeat.
  const remember = source.connector === 'generator' ? 0 : source.remember;
  return { spec: feedSpecSchema.parse(source), remember };
}

/** The job with a topic for every feed that was given none. */
export function withFeedTopics(spec: JobSpec): JobSpec {
  const sources = Object.entries(spec.sources).map(([name, source]): [string, SourceSpec] => [
    name,
    source.topic === '' ? { ...source, topic: feedTopic(spec.name, name) } : source,
  ]);
  return { ...spec, sources: Object.fromEntries(sources) };
}

/** The topic of a feed that was given none. */
export function feedTopic(job: string, source: string): string {
  return `weir.${job}.${source}`;
}

/** A source of a job file as a topic that somebody else fills: without what only its feed understands. */
export function asTopic(source: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { connector } = source;
  if (!sourceConnectors.includes(String(connector))) {
    const kept = Object.entries(source).filter(([name]) => name !== 'remember' && logOptionNames.has(name));
    return { ...Object.fromEntries(kept), connector: 'kafka' };
  }
  const own = Object.hasOwn(feedOptions, String(connector)) ? feedOptions[connector as keyof typeof feedOptions] : {};
  const rest = Object.entries(source).filter(([name]) => name !== 'remember' && !Object.hasOwn(own, name));
  return { ...Object.fromEntries(rest), connector: 'kafka' };
}
