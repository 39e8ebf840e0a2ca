/** What a package of a connector gives to workers, and is given by them. */
import type { Clock, Rng } from './clock.ts';
import type { Feed } from './feed/feed.ts';
import type { RowFormat, RowSink } from './row-sink.ts';

/** What a worker lends to a connector. */
export interface ConnectorContext {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Fills in `${env:WEIR_SECRET_NAME}`. Throws: CONFIG_INVALID. */
  readonly secret: (text: string) => string;
  /** To be asked before connecting to a host that a job names. Throws: FORBIDDEN. */
  readonly requireHost: (host: string) => Promise<void>;
}

/** Options as the job file gives them, with the defaults of the manifest, held against its schema. */
export type ConnectorOptions = Readonly<Record<string, unknown>>;

export interface SinkOpening {
  readonly job: string;
  /** Of the sink within its job. */
  readonly sink: string;
  readonly options: ConnectorOptions;
  /** How rows come, as the manifest says, with their columns. */
  readonly format: RowFormat;
}

export interface SourceOpening {
  readonly options: ConnectorOptions;
}

/** At least one of both, as the manifest says. */
export interface Connector {
  /** Called once per job and worker. Throws: SINK_UNAVAILABLE, UNAUTHORIZED, CONFIG_INVALID. */
  openSink?(opening: SinkOpening, context: ConnectorContext): RowSink | Promise<RowSink>;
  /** Called by the one worker that fills the source's topic. Throws: CONFIG_INVALID. */
  openSource?(opening: SourceOpening, context: ConnectorContext): Feed | Promise<Feed>;
}
