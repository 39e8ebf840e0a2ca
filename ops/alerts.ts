/**
 * Alert rules, each with what to do about it, and with series under which it must fire: test/ops gives those to promtool.
 * Templates name labels only, as `{{ $labels.x }}`.
 */

export interface Alert {
  /** In CamelCase, with the prefix Weir. */
  readonly name: string;
  readonly severity: 'critical' | 'warning' | 'info';
  /** How long it must hold, in Prometheus' notation. */
  readonly for: string;
  readonly expr: string;
  /** One sentence: what is so. */
  readonly summary: string;
  /** Sentences: why it may be so and what to do. */
  readonly remedy: string;
  readonly fires: AlertCase;
  /** Series under which it must stay quiet at the same moment. */
  readonly quiet: Readonly<Record<string, string>>;
}

/** Series in promtool's notation, one value every 15 s, and the alert they must give. */
export interface AlertCase {
  readonly series: Readonly<Record<string, string>>;
  readonly at: string;
  /** Labels of the alert, beside its severity. */
  readonly labels: Readonly<Record<string, string>>;
}

const job = { job_name: 'users' };
const target = { job: 'weir', component: 'worker', instance: 'w1:7081' };
const worker = '{job="weir",component="worker",instance="w1:7081"}';
/** A value that stays, over a test's hour. */
const stays = (value: number): string => `${value}x240`;
/** A value that grows by `step` every 15 s. */
const grows = (step: number, from = 0): string => `${from}${step < 0 ? step : `+${step}`}x240`;

export const alerts: readonly Alert[] = [
  {
    name: 'WeirNoLeader',
    severity: 'critical',
    for: '30s',
    expr: '(sum(weir_master_leads) or vector(0)) != 1',
    summary: 'There is not exactly one leading master.',
    remedy:
      'Lanes go on, but nothing is assigned and stateful jobs stand still. Look whether a master runs and reaches its store: its log names STORE_UNAVAILABLE when Cassandra does not answer at QUORUM. With two leaders shown for longer than a scrape, one of them is frozen: its lease is over and its writes are refused; restart it.',
    fires: { series: { 'weir_master_leads{instance="m1:7080"}': stays(0) }, at: '2m', labels: {} },
    quiet: { 'weir_master_leads{instance="m1:7080"}': stays(1), 'weir_master_leads{instance="m2:7080"}': stays(0) },
  },
  {
    name: 'WeirTargetDown',
    severity: 'critical',
    for: '1m',
    expr: 'up{job="weir"} == 0',
    summary: 'The {{ $labels.component }} {{ $labels.instance }} does not answer Prometheus.',
    remedy:
      'The master lists the process, so it lives: it is frozen, overloaded, or not reachable under the address it gave (WEIR_ADVERTISED_HOST). A worker that is dead is not listed any more: see WeirWorkerLost.',
    fires: { series: { [`up${worker}`]: stays(0) }, at: '3m', labels: target },
    quiet: { [`up${worker}`]: stays(1) },
  },
  {
    name: 'WeirWorkerLost',
    severity: 'warning',
    for: '0s',
    expr: 'sum(increase(weir_workers_lost_total[10m])) > 0',
    summary: 'A worker is gone without having handed over.',
    remedy:
      'What it had is with others after about 3 s, and no row is lost or doubled. weir events names it. Look why it ended: killed for its memory (docker inspect: OOMKilled), its machine, or a crash in its last log lines.',
    fires: { series: { 'weir_workers_lost_total{instance="m1:7080"}': '0x8 1x240' }, at: '5m', labels: {} },
    quiet: { 'weir_workers_lost_total{instance="m1:7080"}': stays(2) },
  },
  {
    name: 'WeirNoWorkers',
    severity: 'critical',
    for: '1m',
    expr: 'sum(weir_workers{state="alive"}) == 0 and sum(weir_jobs{state=~"starting|running"}) > 0',
    summary: 'Jobs run, and there is no worker.',
    remedy:
      'Start workers (docker compose up --scale worker=3). If some run, their log says why the master refuses them: UNAUTHORIZED is another token, VERSION_MISMATCH another version.',
    fires: {
      series: { 'weir_workers{state="alive"}': stays(0), 'weir_jobs{state="running"}': stays(2) },
      at: '3m',
      labels: {},
    },
    quiet: { 'weir_workers{state="alive"}': stays(0), 'weir_jobs{state="running"}': stays(0) },
  },
  {
    name: 'WeirJobFailed',
    severity: 'critical',
    for: '1m',
    expr: 'max by (job_name) (weir_job_state{state="failed"}) == 1',
    summary: 'Job {{ $labels.job_name }} has failed.',
    remedy:
      'weir describe job NAME shows the error code and what to do; docs/errors.md explains each. It goes on where it stopped with weir resume NAME; weir rollback NAME brings the revision before back.',
    fires: { series: { 'weir_job_state{job_name="users",state="failed"}': stays(1) }, at: '3m', labels: job },
    quiet: { 'weir_job_state{job_name="users",state="running"}': stays(1) },
  },
  {
    name: 'WeirJobRestarting',
    severity: 'warning',
    for: '0s',
    expr: 'max by (job_name) (changes(weir_job_run[15m])) > 3',
    summary: 'Job {{ $labels.job_name }} began anew more than three times in 15 minutes.',
    remedy:
      'weir events shows who asked for it: a script that applies a changing file, or an operator task that submits again. Make the file stable; PUT of the same file changes nothing.',
    fires: { series: { 'weir_job_run{job_name="users"}': grows(1) }, at: '15m', labels: job },
    quiet: { 'weir_job_run{job_name="users"}': stays(4) },
  },
  {
    name: 'WeirLanesWithoutOwner',
    severity: 'warning',
    for: '1m',
    expr: 'sum by (job_name) (weir_job_lanes{owned="false"}) > 0 and on (job_name) max by (job_name) (weir_job_state{state="running"}) == 1',
    summary: 'Partitions of job {{ $labels.job_name }} are read by nobody.',
    remedy:
      'Moves take under 4 s. If it lasts, there are too few workers for weir scale --parallelism, or a former owner does not let go: weir describe job NAME names the partitions and what they wait for.',
    fires: {
      series: {
        'weir_job_lanes{job_name="users",owned="false"}': stays(2),
        'weir_job_state{job_name="users",state="running"}': stays(1),
      },
      at: '3m',
      labels: job,
    },
    quiet: {
      'weir_job_lanes{job_name="users",owned="false"}': stays(2),
      'weir_job_state{job_name="users",state="stopped"}': stays(1),
    },
  },
  {
    name: 'WeirLagGrowing',
    severity: 'warning',
    for: '10m',
    expr: 'sum by (job_name) (deriv(weir_consumer_lag_records[10m])) > 0 and sum by (job_name) (weir_consumer_lag_records) > 60 * sum by (job_name) (rate(weir_records_read_total[10m]))',
    summary: 'Job {{ $labels.job_name }} falls further and further behind.',
    remedy:
      "More comes than it can take. The job's page says whether threads are busy (add workers: docker compose up --scale worker=N) or blocked by the sink (look at the sink's latency and retries). No more workers than partitions can help a job without state.",
    fires: {
      series: {
        'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': grows(15_000, 100_000),
        'weir_records_read_total{job_name="users",source="u"}': grows(1500),
      },
      at: '30m',
      labels: job,
    },
    quiet: {
      'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': grows(-100, 100_000),
      'weir_records_read_total{job_name="users",source="u"}': grows(1500),
    },
  },
  {
    name: 'WeirLagSeconds',
    severity: 'warning',
    for: '5m',
    expr: 'sum by (job_name) (weir_consumer_lag_records) / (sum by (job_name) (rate(weir_records_read_total[5m])) > 0) > 180',
    summary: 'Job {{ $labels.job_name }} is more than three minutes of work behind.',
    remedy:
      'After an outage it catches up by itself: see "Time to catch up". Otherwise add workers, or find what blocks it on its page.',
    fires: {
      series: {
        'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': stays(1_000_000),
        'weir_records_read_total{job_name="users",source="u"}': grows(1500),
      },
      at: '20m',
      labels: job,
    },
    quiet: {
      'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': stays(1000),
      'weir_records_read_total{job_name="users",source="u"}': grows(1500),
    },
  },
  {
    name: 'WeirNoProgress',
    severity: 'critical',
    for: '2m',
    expr: 'sum by (job_name) (weir_consumer_lag_records) > 0 and sum by (job_name) (rate(weir_rows_written_total[2m])) == 0 and sum by (job_name) (rate(weir_records_read_total[2m])) == 0',
    summary: 'Records wait for job {{ $labels.job_name }}, and it does nothing.',
    remedy:
      'weir describe job NAME says what its partitions or epochs wait for: a source or sink that does not answer, an epoch that is tried again and again, or the end of an availableNow run.',
    fires: {
      series: {
        'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': stays(50),
        'weir_rows_written_total{job_name="users",sink="s"}': stays(900),
        'weir_records_read_total{job_name="users",source="u"}': stays(1000),
      },
      at: '10m',
      labels: job,
    },
    quiet: {
      'weir_consumer_lag_records{job_name="users",topic="u",partition="0"}': stays(50),
      'weir_rows_written_total{job_name="users",sink="s"}': grows(1),
      'weir_records_read_total{job_name="users",source="u"}': grows(1),
    },
  },
  {
    name: 'WeirLatencyHigh',
    severity: 'warning',
    for: '10m',
    expr: 'histogram_quantile(0.99, sum by (le, job_name) (rate(weir_end_to_end_latency_seconds_bucket[5m]))) > 10',
    summary: 'Rows of job {{ $labels.job_name }} are readable more than 10 s after their records came (p99).',
    remedy:
      'With lag, see WeirLagGrowing. Without, the trigger interval is long, producers date records back, or the sink is slow: compare the phases of a batch.',
    fires: {
      series: {
        'weir_end_to_end_latency_seconds_bucket{job_name="users",le="10"}': grows(10),
        'weir_end_to_end_latency_seconds_bucket{job_name="users",le="30"}': grows(100),
        'weir_end_to_end_latency_seconds_bucket{job_name="users",le="+Inf"}': grows(100),
      },
      at: '30m',
      labels: job,
    },
    quiet: {
      'weir_end_to_end_latency_seconds_bucket{job_name="users",le="10"}': grows(100),
      'weir_end_to_end_latency_seconds_bucket{job_name="users",le="30"}': grows(100),
      'weir_end_to_end_latency_seconds_bucket{job_name="users",le="+Inf"}': grows(100),
    },
  },
  {
    name: 'WeirDeadLetters',
    severity: 'warning',
    for: '5m',
    expr: 'sum by (job_name, reason) (rate(weir_dead_letters_total[5m])) > 0',
    summary: 'Records of job {{ $labels.job_name }} keep becoming dead letters: {{ $labels.reason }}.',
    remedy:
      'weir dlq list NAME shows them with offset and raw bytes. Mend the producer or the job, then weir dlq replay NAME; nothing is lost meanwhile.',
    fires: {
      series: { 'weir_dead_letters_total{job_name="users",reason="JSON_INVALID"}': grows(2) },
      at: '15m',
      labels: { ...job, reason: 'JSON_INVALID' },
    },
    quiet: { 'weir_dead_letters_total{job_name="users",reason="JSON_INVALID"}': stays(7) },
  },
  {
    name: 'WeirOffsetsLost',
    severity: 'critical',
    for: '0s',
    expr: 'sum by (job_name) (increase(weir_lost_offsets_total[15m])) > 0',
    summary: 'Records were deleted from the log before job {{ $labels.job_name }} read them.',
    remedy:
      "The topic's retention is shorter than the job's lag. The gap stands in weir.dead_letters. Make retention longer (retention.ms) or the job faster; what is gone has to come from the producer again.",
    fires: { series: { 'weir_lost_offsets_total{job_name="users"}': '0x20 500x240' }, at: '10m', labels: job },
    quiet: { 'weir_lost_offsets_total{job_name="users"}': stays(0) },
  },
  {
    name: 'WeirFeedBlocked',
    severity: 'warning',
    for: '5m',
    expr: 'max by (job_name, source, code) (weir_feed_blocked) == 1',
    summary: 'Feed {{ $labels.source }} of job {{ $labels.job_name }} gets nothing: {{ $labels.code }}.',
    remedy:
      'docs/errors.md explains the code; the log of the worker has the answer that it got. What the feed has not taken stays where it is, and it goes on by itself when the other side answers.',
    fires: {
      series: { 'weir_feed_blocked{job_name="users",source="api",code="SOURCE_UNAVAILABLE"}': stays(1) },
      at: '8m',
      labels: { ...job, source: 'api', code: 'SOURCE_UNAVAILABLE' },
    },
    quiet: { 'weir_feed_blocked{job_name="users",source="api",code="SOURCE_UNAVAILABLE"}': '1x8 stale' },
  },
  {
    name: 'WeirSinkBlocked',
    severity: 'critical',
    for: '2m',
    expr: 'max by (job_name, sink) (weir_sink_blocked) == 1',
    summary: 'Sink {{ $labels.sink }} of job {{ $labels.job_name }} does not take rows.',
    remedy:
      'Writes are sent again until they are acknowledged; the job waits and loses nothing. Look at the nodes (nodetool status): QUORUM needs more than half of the replicas. A full disk and overload look the same from here.',
    fires: {
      series: { 'weir_sink_blocked{job_name="users",sink="s"}': stays(1) },
      at: '5m',
      labels: { ...job, sink: 's' },
    },
    quiet: { 'weir_sink_blocked{job_name="users",sink="s"}': stays(0) },
  },
  {
    name: 'WeirSinkRetries',
    severity: 'warning',
    for: '5m',
    expr: 'sum by (job_name, sink) (rate(weir_sink_retries_total[5m])) > 1',
    summary: 'Many writes of job {{ $labels.job_name }} to {{ $labels.sink }} have to be sent again.',
    remedy:
      'The sink is overloaded or loses nodes. Its own metrics (dropped mutations, pending compactions, garbage collection) say which; fewer workers or fewer jobs at once relieve it.',
    fires: {
      series: { 'weir_sink_retries_total{job_name="users",sink="s"}': grows(60) },
      at: '15m',
      labels: { ...job, sink: 's' },
    },
    quiet: { 'weir_sink_retries_total{job_name="users",sink="s"}': stays(60) },
  },
  {
    name: 'WeirWriteTimesAhead',
    severity: 'warning',
    for: '2m',
    expr: 'max by (job_name) (weir_write_time_ahead_seconds) > 5',
    summary: 'Write times of job {{ $labels.job_name }} run ahead of the clock, and its lanes slow down.',
    remedy:
      "Producers date records into the future, or this machine's clock is behind. Set the clocks (NTP) or the topic to message.timestamp.type=LogAppendTime; onFutureTimestamp: ignoreTimes makes the job independent of them.",
    fires: { series: { 'weir_write_time_ahead_seconds{job_name="users"}': stays(9) }, at: '5m', labels: job },
    quiet: { 'weir_write_time_ahead_seconds{job_name="users"}': stays(-3) },
  },
  {
    name: 'WeirFencedWrites',
    severity: 'warning',
    for: '0s',
    expr: 'sum by (job_name) (increase(weir_fenced_writes_total[15m])) > 5',
    summary: 'Lanes of job {{ $labels.job_name }} lost their right to write again and again.',
    remedy:
      'No row is wrong: a lane without a confirmed owner stops. The cause is a store that does not answer within 3 s or a process that is not given processor time: look at the event loop delay of workers and at the latency of Cassandra.',
    fires: { series: { 'weir_fenced_writes_total{job_name="users"}': grows(1) }, at: '15m', labels: job },
    quiet: { 'weir_fenced_writes_total{job_name="users"}': stays(3) },
  },
  {
    name: 'WeirEpochStalled',
    severity: 'critical',
    for: '1m',
    expr: 'max by (job_name) (weir_epoch_planned) > max by (job_name) (weir_epoch_committed) and max by (job_name) (changes(weir_epoch_committed[2m])) == 0',
    summary: 'The epoch of job {{ $labels.job_name }} does not end.',
    remedy:
      'weir describe job NAME says what it waits for. A sink that is blocked, a worker that cannot reach another (PEER_UNREACHABLE: WEIR_ADVERTISED_HOST and WEIR_EXCHANGE_PORT must be reachable between workers), or user functions that run too long.',
    fires: {
      series: {
        'weir_epoch_planned{job_name="users"}': stays(41),
        'weir_epoch_committed{job_name="users"}': stays(40),
      },
      at: '6m',
      labels: job,
    },
    quiet: { 'weir_epoch_planned{job_name="users"}': grows(1, 1), 'weir_epoch_committed{job_name="users"}': grows(1) },
  },
  {
    name: 'WeirEpochSlow',
    severity: 'warning',
    for: '10m',
    expr: 'max by (job_name) (weir_epoch_seconds{quantile="0.99"}) > 5',
    summary: 'Epochs of job {{ $labels.job_name }} take more than 5 s (p99).',
    remedy:
      'The phases of the last epoch say which part: map (reading; add workers), addBatch (state and sinks; look for one large key group), walCommit (the store). maxOffsetsPerTrigger makes epochs smaller.',
    fires: { series: { 'weir_epoch_seconds{job_name="users",quantile="0.99"}': stays(8) }, at: '15m', labels: job },
    quiet: { 'weir_epoch_seconds{job_name="users",quantile="0.99"}': stays(0.2) },
  },
  {
    name: 'WeirWatermarkStalled',
    severity: 'warning',
    for: '10m',
    expr: 'max by (job_name) (changes(weir_epoch_watermark_seconds[10m])) == 0 and sum by (job_name) (rate(weir_records_read_total[10m])) > 0',
    summary: 'The watermark of job {{ $labels.job_name }} stands still while records come.',
    remedy:
      'No window is finished and state grows. One source is idle (give it idleTimeout), or its event times stand still: look at them with weir tail NAME.',
    fires: {
      series: {
        'weir_epoch_watermark_seconds{job_name="users"}': stays(1_700_000_000),
        'weir_records_read_total{job_name="users",source="u"}': grows(1500),
      },
      at: '30m',
      labels: job,
    },
    quiet: {
      'weir_epoch_watermark_seconds{job_name="users"}': grows(15, 1_700_000_000),
      'weir_records_read_total{job_name="users",source="u"}': grows(1500),
    },
  },
  {
    name: 'WeirLateRows',
    severity: 'warning',
    for: '10m',
    expr: 'sum by (job_name) (rate(weir_late_rows_total[10m])) > 0.01 * sum by (job_name) (rate(weir_records_read_total[10m]))',
    summary:
      'More than one in a hundred records of job {{ $labels.job_name }} comes after the watermark and is dropped.',
    remedy:
      "Make the watermark's delay longer (state is kept longer then), or mend what delays the producers. onLate: deadLetter keeps late records for a look.",
    fires: {
      series: {
        'weir_late_rows_total{job_name="users",operator="aggregate-1"}': grows(150),
        'weir_records_read_total{job_name="users",source="u"}': grows(1500),
      },
      at: '30m',
      labels: job,
    },
    quiet: {
      'weir_late_rows_total{job_name="users",operator="aggregate-1"}': grows(1),
      'weir_records_read_total{job_name="users",source="u"}': grows(1500),
    },
  },
  {
    name: 'WeirSnapshotOld',
    severity: 'warning',
    for: '2m',
    expr: 'max by (job_name) (weir_snapshot_age_seconds) > 60 and max by (job_name) (changes(weir_epoch_committed[2m])) > 0',
    summary: 'Job {{ $labels.job_name }} has stored no snapshot of its state for a minute.',
    remedy:
      'A failure now would replay all since then, and plans stop when their ring is full. The store of blobs (Cassandra) is slow or full: look at "Storing a snapshot" and at the log for STORE_UNAVAILABLE.',
    fires: {
      series: {
        'weir_snapshot_age_seconds{job_name="users"}': grows(15),
        'weir_epoch_committed{job_name="users"}': grows(1),
      },
      at: '15m',
      labels: job,
    },
    quiet: {
      'weir_snapshot_age_seconds{job_name="users"}': stays(4),
      'weir_epoch_committed{job_name="users"}': grows(1),
    },
  },
  {
    name: 'WeirStateGrowing',
    severity: 'warning',
    for: '15m',
    expr: 'predict_linear(sum by (job_name) (weir_state_bytes)[30m:1m], 4 * 3600) > 2 * sum by (job_name) (weir_state_bytes) and sum by (job_name) (weir_state_bytes) > 256 * 1024 * 1024',
    summary: 'The state of job {{ $labels.job_name }} will have doubled within four hours.',
    remedy:
      'Without a watermark nothing is ever forgotten: declare one, or make its delay shorter. If the keys are truly that many, add workers: key groups move to them with their state.',
    fires: {
      series: { 'weir_state_bytes{job_name="users",operator="aggregate-1"}': grows(4_000_000, 300_000_000) },
      at: '55m',
      labels: job,
    },
    quiet: { 'weir_state_bytes{job_name="users",operator="aggregate-1"}': stays(300_000_000) },
  },
  {
    name: 'WeirEventLoopBlocked',
    severity: 'warning',
    for: '5m',
    expr: 'max by (component, instance) (weir_event_loop_delay_seconds{quantile="0.99"}) > 0.2',
    summary: 'The {{ $labels.component }} {{ $labels.instance }} answers late: its event loop is blocked.',
    remedy:
      'Heartbeats and leases need it. The machine has too little processor time for its processes (fewer threads: --threads, or more cores), or it collects garbage: see memory on the cluster page.',
    fires: {
      series: { [`weir_event_loop_delay_seconds{quantile="0.99",component="worker",instance="w1:7081"}`]: stays(0.6) },
      at: '10m',
      labels: { component: 'worker', instance: 'w1:7081' },
    },
    quiet: { [`weir_event_loop_delay_seconds{quantile="0.99",component="worker",instance="w1:7081"}`]: stays(0.01) },
  },
  {
    name: 'WeirThreadsSaturated',
    severity: 'info',
    for: '15m',
    expr: 'avg(rate(weir_thread_busy_seconds_total[5m])) > 0.9',
    summary: 'The compute threads of all workers are busy nearly all the time.',
    remedy: 'Add workers before lag grows: docker compose up --scale worker=N. weir top shows which job uses them.',
    fires: {
      series: { 'weir_thread_busy_seconds_total{thread="0",instance="w1:7081"}': grows(15) },
      at: '30m',
      labels: {},
    },
    quiet: { 'weir_thread_busy_seconds_total{thread="0",instance="w1:7081"}': grows(5) },
  },
  {
    name: 'WeirRegistryFailing',
    severity: 'warning',
    for: '2m',
    expr: 'sum(rate(weir_registry_requests_total{outcome="failed"}[5m])) > 0',
    summary: 'A schema registry does not answer.',
    remedy:
      'Records whose schemas are known go on; those with a new schema wait. Look whether the registry runs and whether SCHEMA_REGISTRY_URL and its credentials are right.',
    fires: { series: { 'weir_registry_requests_total{outcome="failed"}': grows(1) }, at: '10m', labels: {} },
    quiet: { 'weir_registry_requests_total{outcome="failed"}': stays(3) },
  },
];

/** The anchor of an alert in docs/alerts.md. */
export function anchorOf({ name }: Alert): string {
  return name.toLowerCase();
}

/** As Prometheus shows it: labels filled in. */
export function filled(template: string, labels: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');
}
