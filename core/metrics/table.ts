/**
 * Every metric of Weir: what it is called, counts, and is called elsewhere. The processes make their instruments from
 * this table, and docs/metrics.md, the dashboards and the alerts are made from it too, so none of them can name a metric
 * or a label that does not exist. Conventions: Prometheus' naming (base units, `_total` for counters).
 */

/** What a value is measured in; Prometheus' base units. */
export type MetricUnit = 'records' | 'rows' | 'bytes' | 'seconds' | 'ratio' | 'count' | 'timestamp' | 'epoch' | 'bool';

/** One metric. */
export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly unit: MetricUnit;
  /** Who shows it. */
  readonly from: 'worker' | 'master' | 'both';
  /** One sentence without a full stop: the help text and the page. */
  readonly meaning: string;
  /** Names in Spark (progress fields, metrics), Flink, and Kafka Streams or Kafka Connect; absent = there is none. */
  readonly spark?: string;
  readonly flink?: string;
  readonly kafka?: string;
}

/** By name. */
export const metrics = {
  // ------------------------------------------------------------------------------------------------ records and rows
  weir_records_read_total: {
    kind: 'counter',
    labels: ['job_name', 'source'],
    unit: 'records',
    from: 'worker',
    meaning: 'Records read from a source',
    spark: 'numInputRows, inputRate-total',
    flink: 'numRecordsIn',
    kafka: 'process-total, source-record-poll-total',
  },
  weir_input_bytes_total: {
    kind: 'counter',
    labels: ['job_name', 'source'],
    unit: 'bytes',
    from: 'worker',
    meaning: 'Bytes fetched from a source, as they travelled',
    flink: 'numBytesIn',
    kafka: 'bytes-consumed-total',
  },
  weir_lookup_keys_total: {
    kind: 'counter',
    labels: ['job_name', 'table', 'outcome'],
    unit: 'count',
    from: 'worker',
    meaning: 'Keys that batches looked up: kept from before (hit), on their way already (joined) or asked for (miss)',
    flink: 'hitCount, missCount',
  },
  weir_lookup_duration_seconds: {
    kind: 'histogram',
    labels: ['job_name', 'table'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Time of one request of a lookup, failed ones included',
    flink: 'latestLoadTime',
  },
  weir_lookup_errors_total: {
    kind: 'counter',
    labels: ['job_name', 'table', 'code'],
    unit: 'count',
    from: 'worker',
    meaning: 'Requests of a lookup that failed, each try for itself',
    flink: 'numLoadFailures',
  },
  weir_lookup_failed_keys_total: {
    kind: 'counter',
    labels: ['job_name', 'table'],
    unit: 'count',
    from: 'worker',
    meaning: 'Keys that nobody answered for, or with no row of the table: the job went on without (onError)',
  },
  weir_lookup_in_flight: {
    kind: 'gauge',
    labels: ['job_name', 'table'],
    unit: 'count',
    from: 'worker',
    meaning: 'Requests of a lookup on their way',
  },
  weir_lookup_kept_keys: {
    kind: 'gauge',
    labels: ['job_name', 'table'],
    unit: 'count',
    from: 'worker',
    meaning: 'Keys of a lookup that the worker keeps, with a row or without',
    flink: 'numCachedRecord',
  },
  weir_lookup_kept_bytes: {
    kind: 'gauge',
    labels: ['job_name', 'table'],
    unit: 'bytes',
    from: 'worker',
    meaning: 'Memory that kept rows of a lookup take',
    flink: 'numCachedBytes',
  },
  weir_feed_polls_total: {
    kind: 'counter',
    labels: ['job_name', 'source'],
    unit: 'count',
    from: 'worker',
    meaning: 'Steps of a feed (requests, looks at files, batches of messages) that succeeded',
    kafka: 'poll-batch-avg-time-ms (count)',
  },
  weir_feed_rows_total: {
    kind: 'counter',
    labels: ['job_name', 'source', 'outcome'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows of a feed: appended to its topic, known already, or refused as too large',
    kafka: 'source-record-write-total',
  },
  weir_feed_errors_total: {
    kind: 'counter',
    labels: ['job_name', 'source', 'code'],
    unit: 'count',
    from: 'worker',
    meaning: 'Steps of a feed that failed',
    kafka: 'total-record-errors',
  },
  weir_feed_last_success_timestamp_seconds: {
    kind: 'gauge',
    labels: ['job_name', 'source'],
    unit: 'timestamp',
    from: 'worker',
    meaning: 'When a step of a feed last succeeded',
  },
  weir_feed_blocked: {
    kind: 'gauge',
    labels: ['job_name', 'source', 'code'],
    unit: 'bool',
    from: 'worker',
    meaning: '1 while a feed waits after a failure, by its code',
  },
  weir_rows_written_total: {
    kind: 'counter',
    labels: ['job_name', 'sink'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows that a sink has acknowledged',
    spark: 'sink.numOutputRows',
    flink: 'numRecordsSend',
    kafka: 'sink-record-send-total',
  },
  weir_records_filtered_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'records',
    from: 'worker',
    meaning: 'Records that the query dropped',
  },
  weir_records_skipped_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'records',
    from: 'worker',
    meaning: 'Records dropped by `onBadRecord: skip` or `onNullValue: skip`',
    kafka: 'dropped-records-total, total-records-skipped',
  },
  weir_dead_letters_total: {
    kind: 'counter',
    labels: ['job_name', 'reason'],
    unit: 'records',
    from: 'worker',
    meaning: 'Records that became dead letters; `reason` is an error code',
    flink: 'numRecordsInErrors',
    kafka: 'deadletterqueue-produce-requests',
  },
  weir_schema_changes_total: {
    kind: 'counter',
    labels: ['job_name', 'source', 'kind'],
    unit: 'count',
    from: 'worker',
    meaning:
      'Fields that are new, missing or retyped in records of a source with `onSchemaChange`, each counted once per worker and run',
  },
  weir_lost_offsets_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'records',
    from: 'worker',
    meaning: 'Offsets that were gone before they were read (`onDataLoss: skip`)',
  },
  weir_consumer_lag_records: {
    kind: 'gauge',
    labels: ['job_name', 'topic', 'partition'],
    unit: 'records',
    from: 'worker',
    meaning:
      'Records between the committed position and the end of the log; `partition` is `all` where a job has too many',
    spark: 'sources[].metrics.maxOffsetsBehindLatest',
    flink: 'pendingRecords',
    kafka: 'records-lag',
  },
  weir_end_to_end_latency_seconds: {
    kind: 'histogram',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'From the append to the log to the acknowledgement by the sink',
    flink: 'latency markers, currentEmitEventTimeLag',
    kafka: 'record-e2e-latency-avg, -min, -max',
  },
  // ------------------------------------------------------------------------------------------------------------ lanes
  weir_batch_duration_seconds: {
    kind: 'histogram',
    labels: ['job_name', 'phase'],
    unit: 'seconds',
    from: 'worker',
    meaning:
      'Time of a batch of a lane; phases: `process` (in a thread), `write` (until every sink acknowledged), `commit` (the position), `total` (from fetched to acknowledged)',
    spark: 'durationMs, latency',
    kafka: 'process-latency, commit-latency',
  },
  weir_lane_state: {
    kind: 'gauge',
    labels: ['job_name', 'state'],
    unit: 'count',
    from: 'worker',
    meaning: 'Lanes by state: `waiting`, `running`, `blocked`, `draining`, `released`, `finished`, `failed`',
    kafka: 'connector task status',
  },
  weir_lane_blocked_seconds_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Time in which partitions could not be read on because what was read was not processed or written yet',
    flink: 'backPressuredTimeMsPerSecond',
    kafka: 'blocked-time-ns-total',
  },
  weir_fenced_writes_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'count',
    from: 'worker',
    meaning: 'Writes refused because the lane had, or may have had, another owner',
  },
  weir_write_time_ahead_seconds: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Newest write time minus now; above 5 s a lane slows down',
  },
  // ----------------------------------------------------------------------------------------------------------- epochs
  weir_epochs_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'count',
    from: 'worker',
    meaning: 'Epochs of a stateful job that this worker has done',
    spark: 'batchId',
  },
  weir_epoch_duration_seconds: {
    kind: 'histogram',
    labels: ['job_name', 'phase'],
    unit: 'seconds',
    from: 'worker',
    meaning:
      'Time of an epoch on a worker; phases: `map` (from the order until its rows are on their way), `fold` (state stages, waiting for rows included), `write` (until every sink acknowledged), `total` (from the order to done)',
    spark: 'durationMs.addBatch',
  },
  weir_epoch_planned: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'epoch',
    from: 'master',
    meaning: 'Last epoch planned; -1 = none',
  },
  weir_epoch_committed: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'epoch',
    from: 'master',
    meaning: 'Last epoch committed; -1 = none',
    spark: 'batchId',
    flink: 'lastCompletedCheckpointId',
  },
  weir_epoch_seconds: {
    kind: 'gauge',
    labels: ['job_name', 'quantile'],
    unit: 'seconds',
    from: 'master',
    meaning: 'Time of an epoch from plan to commit, over the last epochs; quantiles 0.5 and 0.99',
    spark: 'batchDuration',
    flink: 'lastCheckpointDuration',
  },
  weir_epoch_phase_seconds: {
    kind: 'gauge',
    labels: ['job_name', 'phase'],
    unit: 'seconds',
    from: 'master',
    meaning: 'Phases of the last epoch: `walCommit`, `map`, `addBatch`, `commitOffsets`, `triggerExecution`',
    spark: 'durationMs',
  },
  weir_epoch_commit_gap_p99_seconds: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'master',
    meaning: 'Gap between commits, over the last epochs',
  },
  weir_epoch_lag_records: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'records',
    from: 'master',
    meaning: 'Records known to wait above the planned positions',
    spark: 'sources[].metrics.maxOffsetsBehindLatest',
  },
  weir_epoch_watermark_seconds: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'timestamp',
    from: 'master',
    meaning: 'Watermark in force in the next epoch, since 1970; `time()` minus it is its lag',
    spark: 'eventTime.watermark',
    flink: 'currentInputWatermark',
  },
  weir_late_rows_total: {
    kind: 'counter',
    labels: ['job_name', 'operator'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows dropped because they came after the watermark',
    spark: 'numRowsDroppedByWatermark',
    flink: 'numLateRecordsDropped',
    kafka: 'dropped-records-total',
  },
  // ------------------------------------------------------------------------------------------------------------ state
  weir_state_rows: {
    kind: 'gauge',
    labels: ['job_name', 'operator'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows of state held, counted as Spark does: groups, sessions, keys, joined rows',
    spark: 'numRowsTotal, states-rowsTotal',
    flink: 'rocksdb.estimate-num-keys',
    kafka: 'num-entries-active-mem-table',
  },
  weir_state_bytes: {
    kind: 'gauge',
    labels: ['job_name', 'operator'],
    unit: 'bytes',
    from: 'worker',
    meaning: 'Bytes of state held',
    spark: 'memoryUsedBytes, states-usedBytes',
    flink: 'rocksdb.live-sst-files-size',
    kafka: 'suppression-buffer-size-avg, size-all-mem-tables',
  },
  weir_state_evicted_total: {
    kind: 'counter',
    labels: ['job_name', 'operator'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows of state that became final and were forgotten',
    spark: 'numRowsRemoved',
  },
  weir_exchange_bytes_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'bytes',
    from: 'worker',
    meaning: 'Bytes of rows sent to other workers',
    spark: 'shuffle bytes written',
    flink: 'numBytesOut',
  },
  weir_snapshot_duration_seconds: {
    kind: 'histogram',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Time in which a worker stored what its key groups had changed since the snapshot before',
    spark: 'stateOperators[].commitTimeMs',
    flink: 'checkpoint duration per subtask',
  },
  weir_snapshot_written_bytes_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'bytes',
    from: 'worker',
    meaning: 'Bytes of state that snapshots stored',
    flink: 'lastCheckpointSize',
  },
  weir_snapshot_age_seconds: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'master',
    meaning: 'Time since the last snapshot was named',
  },
  weir_snapshot_bytes: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'bytes',
    from: 'master',
    meaning: 'Bytes of state in the last snapshot',
    flink: 'lastCheckpointFullSize',
  },
  weir_restored_key_groups_total: {
    kind: 'counter',
    labels: ['job_name'],
    unit: 'count',
    from: 'worker',
    meaning: 'Key groups brought to this worker from a snapshot and by replay, after a move or a loss',
    kafka: 'restore-total',
  },
  weir_restore_duration_seconds: {
    kind: 'histogram',
    labels: ['job_name'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'How long that took',
    kafka: 'restore-latency',
  },
  weir_key_groups: {
    kind: 'gauge',
    labels: ['job_name', 'worker'],
    unit: 'count',
    from: 'master',
    meaning: 'Key groups of a stateful job by the worker that holds them; 256 in all',
  },
  // ------------------------------------------------------------------------------------------------------------ sinks
  weir_sink_in_flight: {
    kind: 'gauge',
    labels: ['job_name', 'sink'],
    unit: 'count',
    from: 'worker',
    meaning: 'Requests to a sink that wait for an answer',
  },
  weir_sink_blocked: {
    kind: 'gauge',
    labels: ['job_name', 'sink'],
    unit: 'bool',
    from: 'worker',
    meaning: '1 while writes to a sink wait because it does not take them',
  },
  weir_sink_refused_rows_total: {
    kind: 'counter',
    labels: ['job_name', 'sink'],
    unit: 'rows',
    from: 'worker',
    meaning: 'Rows that a sink refused for good and that were left out or kept as dead letters (`onRejected`)',
  },
  weir_sink_retries_total: {
    kind: 'counter',
    labels: ['job_name', 'sink'],
    unit: 'count',
    from: 'worker',
    meaning: 'Requests to a sink that were sent again since it was opened',
    kafka: 'put-batch retries, total-retries',
  },
  weir_blackhole_hash: {
    kind: 'gauge',
    labels: ['job_name', 'sink'],
    unit: 'count',
    from: 'worker',
    meaning:
      'Xor of the hashes of all rows that a blackhole sink was given since the process started, for checks; over all workers it does not depend on order or batches, and a row that was processed twice cancels itself out',
  },
  // ----------------------------------------------------------------------------------------- the worker as a process
  weir_thread_busy_seconds_total: {
    kind: 'counter',
    labels: ['thread'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Time in which a compute thread worked; its rate is the part of the time it is busy',
    flink: 'busyTimeMsPerSecond',
    kafka: 'process-ratio',
  },
  weir_stage_busy_seconds_total: {
    kind: 'counter',
    labels: ['job_name', 'stage'],
    unit: 'seconds',
    from: 'worker',
    meaning: 'Time in which threads worked for a stage of a job',
    flink: 'busyTimeMsPerSecond',
  },
  weir_registry_requests_total: {
    kind: 'counter',
    labels: ['outcome'],
    unit: 'count',
    from: 'both',
    meaning: 'Requests to schema registries; outcomes: `ok`, `unknown` (no such schema), `failed`',
  },
  weir_event_loop_delay_seconds: {
    kind: 'gauge',
    labels: ['quantile'],
    unit: 'seconds',
    from: 'both',
    meaning: 'How late the event loop was since the last look; quantiles 0.5 and 0.99',
  },
  weir_build_info: {
    kind: 'gauge',
    labels: ['version', 'node'],
    unit: 'bool',
    from: 'both',
    meaning: 'Always 1',
  },
  // ------------------------------------------------------------------------------------------------------- the cluster
  weir_master_leads: {
    kind: 'gauge',
    labels: [],
    unit: 'bool',
    from: 'master',
    meaning: '1 while this master leads; the sum over all masters is 1',
  },
  weir_master_lease_remaining_seconds: {
    kind: 'gauge',
    labels: [],
    unit: 'seconds',
    from: 'master',
    meaning: 'For how long this master may lead without another renewal; 0 when it does not',
  },
  weir_workers: {
    kind: 'gauge',
    labels: ['state'],
    unit: 'count',
    from: 'master',
    meaning: 'Workers by state: `alive`, `draining`, `silent`',
    spark: 'workers, aliveWorkers',
    flink: 'numRegisteredTaskManagers',
  },
  weir_workers_lost_total: {
    kind: 'counter',
    labels: [],
    unit: 'count',
    from: 'master',
    meaning: 'Workers that were gone without having handed over, as this master saw it while it led',
    flink: 'taskmanager losses',
  },
  weir_jobs: {
    kind: 'gauge',
    labels: ['state'],
    unit: 'count',
    from: 'master',
    meaning: 'Jobs by state',
    spark: 'apps, waitingApps',
    flink: 'numRunningJobs',
  },
  weir_job_state: {
    kind: 'gauge',
    labels: ['job_name', 'state'],
    unit: 'bool',
    from: 'master',
    meaning: '1 for the state a job is in; there is no series for the others',
    kafka: 'connector status',
  },
  weir_job_run: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'count',
    from: 'master',
    meaning: 'Number of the run of a job; it grows with every restart, reset and change that begins anew',
    flink: 'numRestarts',
  },
  weir_job_lanes: {
    kind: 'gauge',
    labels: ['job_name', 'owned'],
    unit: 'count',
    from: 'master',
    meaning: 'Lanes of a job with and without an owner',
    kafka: 'connector-unassigned-task-count',
  },
  weir_job_busy_ratio: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'ratio',
    from: 'master',
    meaning: 'Part of the time of all threads of its workers that a job used over the last seconds',
    flink: 'busyTimeMsPerSecond',
  },
  weir_job_blocked_ratio: {
    kind: 'gauge',
    labels: ['job_name'],
    unit: 'ratio',
    from: 'master',
    meaning: 'Part of the time in which the partitions of a job could not be read on over the last seconds',
    flink: 'backPressuredTimeMsPerSecond',
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

/** A metric's name. */
export type MetricName = keyof typeof metrics;

/** Names of one kind. */
export type MetricOf<K extends MetricSpec['kind']> = {
  [N in MetricName]: (typeof metrics)[N]['kind'] extends K ? N : never;
}[MetricName];

/** A metric's labels. */
export type LabelOf<N extends MetricName> = (typeof metrics)[N]['labels'][number];

/** Upper edges of the buckets of all histograms, seconds. */
export const BUCKETS_SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
