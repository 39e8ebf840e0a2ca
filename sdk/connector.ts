/**
 * What a package of a connector imports from `weir/connector`. The package is called `weir-connector-<name>`, describes
 * itself in `weir-connector.json`, and its module exports by default what {@link defineConnector} gives. Its code runs in
 * the event loop of workers: what takes long has to be awaited.
 */
import type { Connector } from '../core/connector.ts';

export type { Clock, Rng } from '../core/clock.ts';
export { backoffMs } from '../core/clock.ts';
export type { Connector, ConnectorContext, ConnectorOptions, SinkOpening, SourceOpening } from '../core/connector.ts';
export type { ErrorCode } from '../core/errors.ts';
export { isWeirError, WeirError } from '../core/errors.ts';
export type { Feed, FeedRow, FeedStep, Json } from '../core/feed/feed.ts';
export type { WritePermit } from '../core/lane/permit.ts';
export type { SinkStats } from '../core/ports.ts';
export type { BatchPart, EpochPlace, LanePlace, RowBatch, RowFormat, RowSink, RowsPart } from '../core/row-sink.ts';

/** The connector itself: for the types. */
export function defineConnector(connector: Connector): Connector {
  return connector;
}
