/** The dashboards: the cluster, a job, lag, and what goes into Cassandra. */
import type { Dashboard, Panel } from './panels.ts';
import { alarming, panel } from './panels.ts';

const job = '{job_name=~"$job_name"}';
const of = (labels: string): string => `{job_name=~"$job_name",${labels}}`;
const rate = (metric: string, selector = job): string => `rate(${metric}${selector}[$__rate_interval])`;
const sumRate = (metric: string, by: string, selector = job): string => `sum by (${by}) (${rate(metric, selector)})`;
const quantile = (q: number, metric: string, by: string, selector = job): string =>
  `histogram_quantile(${q}, sum by (le, ${by}) (${rate(`${metric}_bucket`, selector)}))`;
/** Lanes and epochs together: a job has one of them. */
const lag = `sum by (job_name) (weir_consumer_lag_records${job})`;

const latency: Panel = panel(
  'lines',
  'End-to-end latency',
  's',
  'From the append to the log to the acknowledgement by the sink. Rises first when something waits.',
  [quantile(0.5, 'weir_end_to_end_latency_seconds', 'job_name'), '{{job_name}} p50'],
  [quantile(0.99, 'weir_end_to_end_latency_seconds', 'job_name'), '{{job_name}} p99'],
);

const deadLetters: Panel = panel(
  'stacked',
  'Dead letters by reason',
  'ops',
  'Records that could not be processed, by error code (docs/errors.md). weir dlq list shows them.',
  [sumRate('weir_dead_letters_total', 'reason'), '{{reason}}'],
);

const retries: Panel = panel(
  'lines',
  'Requests sent again',
  'ops',
  'A few are normal when a node restarts; a steady stream means that Cassandra is overloaded or too few replicas answer.',
  [sumRate('weir_sink_retries_total', 'job_name, sink'), '{{job_name}} {{sink}}'],
);

const cluster: Dashboard = {
  uid: 'weir-cluster',
  title: 'Weir: cluster',
  about: 'Masters, workers and all jobs on one page.',
  byJob: false,
  rows: [
    {
      title: 'At a glance',
      panels: [
        alarming(
          panel('stat', 'Masters that lead', 'short', 'Exactly one.', ['sum(weir_master_leads)', 'leaders']),
          1,
          0,
        ),
        panel('stat', 'Workers', 'short', 'Alive.', ['sum(weir_workers{state="alive"})', 'alive']),
        panel('stat', 'Jobs running', 'short', 'In the state running.', ['sum(weir_jobs{state="running"})', 'running']),
        alarming(
          panel('stat', 'Jobs failed', 'short', 'Stopped by an error; weir describe job says why.', [
            'sum(weir_jobs{state="failed"})',
            'failed',
          ]),
          1,
          1,
        ),
        panel('stat', 'Records read', 'ops', 'Of all sources.', [
          'sum(rate(weir_records_read_total[$__rate_interval]))',
          'records/s',
        ]),
        panel('stat', 'Lag', 'short', 'Records not committed yet, of all jobs.', [
          'sum(weir_consumer_lag_records)',
          'records',
        ]),
      ],
    },
    {
      title: 'Jobs',
      panels: [
        panel('lines', 'Records read by job', 'ops', 'Of all sources of a job.', [
          'sum by (job_name) (rate(weir_records_read_total[$__rate_interval]))',
          '{{job_name}}',
        ]),
        panel('lines', 'Rows written by job', 'rowsps', 'Acknowledged by the sinks.', [
          'sum by (job_name) (rate(weir_rows_written_total[$__rate_interval]))',
          '{{job_name}}',
        ]),
        panel('lines', 'Lag by job', 'short', 'Records behind the end of the log.', [
          'sum by (job_name) (weir_consumer_lag_records)',
          '{{job_name}}',
        ]),
        panel('stacked', 'Jobs by state', 'short', 'How many jobs are in which state.', [
          'sum by (state) (weir_jobs)',
          '{{state}}',
        ]),
        panel(
          'lines',
          'Busy',
          'percentunit',
          'Part of the threads that a job uses, on the worker where it is highest.',
          ['max by (job_name) (weir_job_busy_ratio)', '{{job_name}}'],
        ),
        panel(
          'lines',
          'Runs',
          'short',
          'Grows when a job begins anew; many steps in a short time mean that it keeps failing.',
          ['max by (job_name) (weir_job_run)', '{{job_name}}'],
        ),
      ],
    },
    {
      title: 'Workers',
      panels: [
        panel('stacked', 'Workers by state', 'short', 'Silent workers sent no heartbeat lately.', [
          'sum by (state) (weir_workers)',
          '{{state}}',
        ]),
        panel('lines', 'Compute threads busy', 'percentunit', 'Near 1 on all workers: scale out.', [
          'avg by (instance) (rate(weir_thread_busy_seconds_total[$__rate_interval]))',
          '{{instance}}',
        ]),
        panel('lines', 'Processor time', 'percentunit', 'Of each process; 1 is one core.', [
          'rate(process_cpu_seconds_total{job="weir"}[$__rate_interval])',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Resident memory', 'bytes', 'Of each process.', [
          'process_resident_memory_bytes{job="weir"}',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Event loop delay, p99', 's', 'Above 0.2 s heartbeats and leases are in danger.', [
          'max by (component, instance) (weir_event_loop_delay_seconds{quantile="0.99"})',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Garbage collection', 'percentunit', 'Part of the time; above 0.1 the heap is too small.', [
          'sum by (component, instance) (rate(nodejs_gc_duration_seconds_sum{job="weir"}[$__rate_interval]))',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Memory outside the heap', 'bytes', 'Fetched bytes and state in typed columns.', [
          'nodejs_external_memory_bytes{job="weir"}',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Open files', 'short', 'Sockets included.', [
          'process_open_fds{job="weir"}',
          '{{component}} {{instance}}',
        ]),
      ],
    },
    {
      title: 'Control',
      panels: [
        panel(
          'lines',
          'Lease remaining',
          's',
          'For how long the leader may lead without a renewal; below 0.5 s it is close to losing it.',
          ['weir_master_lease_remaining_seconds', '{{instance}}'],
        ),
        panel('lines', 'Workers lost', 'short', 'Gone without having handed over, in the last hour.', [
          'sum(increase(weir_workers_lost_total[1h]))',
          'lost',
        ]),
        panel('lines', 'Scrape targets', 'bool_on_off', '1 = Prometheus reaches the process.', [
          'up{job="weir"}',
          '{{component}} {{instance}}',
        ]),
        panel('lines', 'Schema registry requests', 'ops', 'Each schema is asked for once per process.', [
          'sum by (outcome) (rate(weir_registry_requests_total[$__rate_interval]))',
          '{{outcome}}',
        ]),
        panel('lines', 'Versions', 'short', 'Processes by version; two during an upgrade.', [
          'count by (version, node) (weir_build_info)',
          '{{version}} on Node {{node}}',
        ]),
      ],
    },
  ],
};

const jobPage: Dashboard = {
  uid: 'weir-job',
  title: 'Weir: job',
  about: 'One job, or several: throughput, latency, epochs, state, and what limits it.',
  byJob: true,
  rows: [
    {
      title: 'At a glance',
      panels: [
        panel('stat', 'Records read', 'ops', 'Of all sources.', [
          `sum(${rate('weir_records_read_total')})`,
          'records/s',
        ]),
        panel('stat', 'Rows written', 'rowsps', 'Acknowledged by the sinks.', [
          `sum(${rate('weir_rows_written_total')})`,
          'rows/s',
        ]),
        panel('stat', 'Lag', 'short', 'Records not committed yet.', [
          `sum(weir_consumer_lag_records${job})`,
          'records',
        ]),
        alarming(
          panel('stat', 'Latency p99', 's', 'Append to acknowledgement.', [
            `histogram_quantile(0.99, sum by (le) (${rate('weir_end_to_end_latency_seconds_bucket')}))`,
            'p99',
          ]),
          1,
          10,
        ),
        alarming(
          panel('stat', 'Dead letters, last hour', 'short', 'Records that could not be processed.', [
            `sum(increase(weir_dead_letters_total${job}[1h])) or vector(0)`,
            'dead letters',
          ]),
          1,
          1000,
        ),
        panel('stat', 'Jobs by state', 'short', 'The states of the jobs chosen.', [
          `sum by (state) (weir_job_state${job})`,
          '{{state}}',
        ]),
      ],
    },
    {
      title: 'Throughput and latency',
      panels: [
        panel('lines', 'Records read', 'ops', 'By source.', [
          sumRate('weir_records_read_total', 'job_name, source'),
          '{{job_name}} {{source}}',
        ]),
        panel('lines', 'Rows written', 'rowsps', 'By sink.', [
          sumRate('weir_rows_written_total', 'job_name, sink'),
          '{{job_name}} {{sink}}',
        ]),
        panel('lines', 'Bytes read', 'Bps', 'As they travelled: compressed ones count as such.', [
          sumRate('weir_input_bytes_total', 'job_name, source'),
          '{{job_name}} {{source}}',
        ]),
        latency,
        panel(
          'stacked',
          'Records that gave no row',
          'ops',
          'Filtered by the query, skipped by policy, or dead.',
          [sumRate('weir_records_filtered_total', 'job_name'), '{{job_name}} filtered'],
          [sumRate('weir_records_skipped_total', 'job_name'), '{{job_name}} skipped'],
          [sumRate('weir_dead_letters_total', 'job_name'), '{{job_name}} dead'],
        ),
        deadLetters,
      ],
    },
    {
      title: 'What limits it',
      panels: [
        panel('lines', 'Threads by stage', 'short', 'Threads that work for a stage, over all workers.', [
          sumRate('weir_stage_busy_seconds_total', 'job_name, stage'),
          '{{job_name}} stage {{stage}}',
        ]),
        panel(
          'lines',
          'Busy and blocked',
          'percentunit',
          'Busy near 1: add workers. Blocked and not busy: the sink is too slow.',
          [`max by (job_name) (weir_job_busy_ratio${job})`, '{{job_name}} busy'],
          [`max by (job_name) (weir_job_blocked_ratio${job})`, '{{job_name}} blocked'],
        ),
        panel('lines', 'Lanes that waited', 'short', 'Lanes that could not read on, on average.', [
          sumRate('weir_lane_blocked_seconds_total', 'job_name'),
          '{{job_name}}',
        ]),
        panel('stacked', 'Lanes by state', 'short', 'Blocked: a service does not answer.', [
          `sum by (job_name, state) (weir_lane_state${job})`,
          '{{job_name}} {{state}}',
        ]),
        panel('lines', 'Phases of a batch, p99', 's', 'Of lanes: process, write, commit.', [
          quantile(0.99, 'weir_batch_duration_seconds', 'job_name, phase'),
          '{{job_name}} {{phase}}',
        ]),
        panel('lines', 'Write times ahead of now', 's', 'Above 5 s lanes slow down: producers date records ahead.', [
          `max by (job_name) (weir_write_time_ahead_seconds${job})`,
          '{{job_name}}',
        ]),
      ],
    },
    {
      title: 'Feeds (sources that are not topics)',
      panels: [
        panel('stacked', 'Rows of feeds', 'rowsps', 'Appended to the topic, known already, or refused as too large.', [
          sumRate('weir_feed_rows_total', 'job_name, source, outcome'),
          '{{job_name}} {{source}} {{outcome}}',
        ]),
        panel(
          'lines',
          'Steps of feeds',
          'ops',
          'Requests, looks at files, batches of messages; failed ones by code.',
          [sumRate('weir_feed_polls_total', 'job_name, source'), '{{job_name}} {{source}}'],
          [sumRate('weir_feed_errors_total', 'job_name, source, code'), '{{job_name}} {{source}} {{code}}'],
        ),
        panel(
          'lines',
          'Since a step succeeded',
          's',
          'A line that rises is a feed that waits; its code is drawn at 1.',
          [
            `time() - max by (job_name, source) (weir_feed_last_success_timestamp_seconds${job})`,
            '{{job_name}} {{source}}',
          ],
          [`max by (job_name, source, code) (weir_feed_blocked${job})`, '{{job_name}} {{source}} {{code}}'],
        ),
      ],
    },
    {
      title: 'Epochs (stateful jobs)',
      panels: [
        panel(
          'lines',
          'Epochs planned and committed',
          'short',
          'A distance that stays is an epoch that does not end.',
          [`max by (job_name) (weir_epoch_planned${job})`, '{{job_name}} planned'],
          [`max by (job_name) (weir_epoch_committed${job})`, '{{job_name}} committed'],
        ),
        panel('lines', 'Epochs done by workers', 'ops', 'Each worker counts its part.', [
          sumRate('weir_epochs_total', 'job_name'),
          '{{job_name}}',
        ]),
        panel('lines', 'Epoch from plan to commit', 's', 'Over the last epochs.', [
          `max by (job_name, quantile) (weir_epoch_seconds${job})`,
          '{{job_name}} p{{quantile}}',
        ]),
        panel(
          'stacked',
          'Phases of the last epoch',
          's',
          "Under Spark's names; addBatch is exchange, state and sinks.",
          [
            `max by (job_name, phase) (weir_epoch_phase_seconds${of('phase!="triggerExecution"')})`,
            '{{job_name}} {{phase}}',
          ],
        ),
        panel('lines', 'Phases on the workers, p99', 's', 'Map, fold, write.', [
          quantile(0.99, 'weir_epoch_duration_seconds', 'job_name, phase'),
          '{{job_name}} {{phase}}',
        ]),
        panel('lines', 'Gap between commits, p99', 's', 'Below 0.5 s also while key groups move.', [
          `max by (job_name) (weir_epoch_commit_gap_p99_seconds${job})`,
          '{{job_name}}',
        ]),
        panel(
          'lines',
          'Watermark behind now',
          's',
          'Grows by 1 s per second when a source is idle without idleTimeout.',
          [`time() - max by (job_name) (weir_epoch_watermark_seconds${job})`, '{{job_name}}'],
        ),
        panel('lines', 'Late rows dropped', 'rowsps', 'More than a few: the watermark delay is too short.', [
          sumRate('weir_late_rows_total', 'job_name, operator'),
          '{{job_name}} {{operator}}',
        ]),
      ],
    },
    {
      title: 'State (stateful jobs)',
      panels: [
        panel('lines', 'Rows of state', 'short', 'Over all workers.', [
          `sum by (job_name, operator) (weir_state_rows${job})`,
          '{{job_name}} {{operator}}',
        ]),
        panel('lines', 'Bytes of state', 'bytes', 'Over all workers.', [
          `sum by (job_name, operator) (weir_state_bytes${job})`,
          '{{job_name}} {{operator}}',
        ]),
        panel(
          'lines',
          'Rows forgotten',
          'rowsps',
          'What became final. Zero for long while state grows: no watermark moves it.',
          [sumRate('weir_state_evicted_total', 'job_name, operator'), '{{job_name}} {{operator}}'],
        ),
        panel('lines', 'Sent between workers', 'Bps', 'The exchange by key.', [
          sumRate('weir_exchange_bytes_total', 'job_name'),
          '{{job_name}}',
        ]),
        panel('lines', 'Age of the snapshot', 's', 'About every 5 s there is a new one.', [
          `max by (job_name) (weir_snapshot_age_seconds${job})`,
          '{{job_name}}',
        ]),
        panel('lines', 'Bytes in the snapshot', 'bytes', 'What a restore has to read.', [
          `max by (job_name) (weir_snapshot_bytes${job})`,
          '{{job_name}}',
        ]),
        panel('lines', 'Storing a snapshot, p99', 's', 'On a worker, beside the epochs.', [
          quantile(0.99, 'weir_snapshot_duration_seconds', 'job_name'),
          '{{job_name}}',
        ]),
        panel('lines', 'Snapshot bytes stored', 'Bps', 'Only what changed.', [
          sumRate('weir_snapshot_written_bytes_total', 'job_name'),
          '{{job_name}}',
        ]),
        panel('stacked', 'Key groups by worker', 'short', '256 in all.', [
          `sum by (job_name, worker) (weir_key_groups${job})`,
          '{{job_name}} {{worker}}',
        ]),
        panel('lines', 'Key groups brought to workers', 'short', 'In the last five minutes: moves and losses.', [
          `sum by (job_name) (increase(weir_restored_key_groups_total${job}[5m]))`,
          '{{job_name}}',
        ]),
        panel('lines', 'Restore, mean', 's', 'Snapshot and replay, since the workers started.', [
          `sum by (job_name) (weir_restore_duration_seconds_sum${job}) / sum by (job_name) (weir_restore_duration_seconds_count${job})`,
          '{{job_name}}',
        ]),
      ],
    },
  ],
};

const lagPage: Dashboard = {
  uid: 'weir-lag',
  title: 'Weir: lag',
  about: 'How far jobs are behind the end of their topics, and whether they catch up.',
  byJob: true,
  rows: [
    {
      title: 'At a glance',
      panels: [
        panel('stat', 'Lag', 'short', 'Records not committed yet.', [
          `sum(weir_consumer_lag_records${job})`,
          'records',
        ]),
        alarming(
          panel('stat', 'Time to catch up', 's', 'At the rate of the last minutes, if nothing more came.', [
            `sum(weir_consumer_lag_records${job}) / sum(${rate('weir_records_read_total')})`,
            'seconds',
          ]),
          60,
          180,
        ),
        alarming(
          panel('stat', 'Partitions without an owner', 'short', 'Nobody reads them.', [
            `sum(weir_job_lanes${of('owned="false"')})`,
            'lanes',
          ]),
          1,
          1,
        ),
        alarming(
          panel('stat', 'Offsets lost', 'short', 'Deleted before they were read, last day.', [
            `sum(increase(weir_lost_offsets_total${job}[1d]))`,
            'offsets',
          ]),
          1,
          1,
        ),
      ],
    },
    {
      title: 'Lag',
      panels: [
        panel('lines', 'Lag by job', 'short', 'Records behind the end of the log.', [lag, '{{job_name}}']),
        panel('lines', 'Lag by topic', 'short', 'Records behind the end of the log.', [
          `sum by (job_name, topic) (weir_consumer_lag_records${job})`,
          '{{job_name}} {{topic}}',
        ]),
        panel(
          'lines',
          'The twenty partitions furthest behind',
          'short',
          'One far above the others: a skewed key or a slow worker.',
          [
            `topk(20, sum by (job_name, topic, partition) (weir_consumer_lag_records${job}))`,
            '{{job_name}} {{topic}} {{partition}}',
          ],
        ),
        panel('lines', 'Growth', 'ops', 'Records by which the lag grows per second; below zero it catches up.', [
          `sum by (job_name) (deriv(weir_consumer_lag_records${job}[5m]))`,
          '{{job_name}}',
        ]),
        panel('lines', 'Waiting above the plan', 'short', 'Of stateful jobs: known and not planned yet.', [
          `max by (job_name) (weir_epoch_lag_records${job})`,
          '{{job_name}}',
        ]),
        panel('lines', 'Records read', 'ops', 'By source.', [
          sumRate('weir_records_read_total', 'job_name, source'),
          '{{job_name}} {{source}}',
        ]),
      ],
    },
  ],
};

const sinkPage: Dashboard = {
  uid: 'weir-sink',
  title: 'Weir: Cassandra sink',
  about: 'Rows on their way into tables, and what holds them up.',
  byJob: true,
  rows: [
    {
      title: 'Writes',
      panels: [
        panel('lines', 'Rows written', 'rowsps', 'Acknowledged at QUORUM.', [
          sumRate('weir_rows_written_total', 'job_name, sink'),
          '{{job_name}} {{sink}}',
        ]),
        panel(
          'lines',
          'Writing a batch',
          's',
          'Until every sink acknowledged; of stateful jobs, of an epoch.',
          [quantile(0.5, 'weir_batch_duration_seconds', 'job_name', of('phase="write"')), '{{job_name}} p50'],
          [quantile(0.99, 'weir_batch_duration_seconds', 'job_name', of('phase="write"')), '{{job_name}} p99'],
          [
            quantile(0.99, 'weir_epoch_duration_seconds', 'job_name', of('phase="write"')),
            '{{job_name}} p99 of epochs',
          ],
        ),
        panel(
          'lines',
          'Requests in flight',
          'short',
          'Adapts itself; zero with lag means that writing is not what waits.',
          [`sum by (job_name, sink) (weir_sink_in_flight${job})`, '{{job_name}} {{sink}}'],
        ),
        retries,
        panel('lines', 'Blocked', 'bool_on_off', '1 while the sink does not take rows on some worker.', [
          `max by (job_name, sink) (weir_sink_blocked${job})`,
          '{{job_name}} {{sink}}',
        ]),
        latency,
      ],
    },
    {
      title: 'Positions and safety',
      panels: [
        panel('lines', 'Committing a position, p99', 's', "A lane's own row in Cassandra.", [
          quantile(0.99, 'weir_batch_duration_seconds', 'job_name', of('phase="commit"')),
          '{{job_name}}',
        ]),
        panel(
          'lines',
          'Writes refused by the fence',
          'short',
          'In the last hour. After a pause of a process, some; never a wrong row.',
          [`sum by (job_name) (increase(weir_fenced_writes_total${job}[1h]))`, '{{job_name}}'],
        ),
        panel('lines', 'Write times ahead of now', 's', 'Above 5 s lanes slow down.', [
          `max by (job_name) (weir_write_time_ahead_seconds${job})`,
          '{{job_name}}',
        ]),
        deadLetters,
      ],
    },
  ],
};

/** All of them, in the order of Grafana's list. */
export const dashboards: readonly Dashboard[] = [cluster, jobPage, lagPage, sinkPage];
