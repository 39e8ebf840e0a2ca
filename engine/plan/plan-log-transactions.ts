/** Sinks that append to topics exactly once: what they need of a job, and the settings of their transactions. */
import { durationMs } from '../../core/duration.ts';
import type { JobSpec, SinkSpec, SourceSpec } from '../../core/job/spec.ts';
import type { LogTransactionSettings } from './stage-plan.ts';

type LogSinkSpec = Extract<SinkSpec, { connector: 'kafka' }>;

export interface LogTransactionContext {
  readonly spec: JobSpec;
  /** Sources that the query reads. */
  readonly sources: readonly SourceSpec[];
  readonly protocol: 'lanes' | 'epochs';
  readonly problem: (path: string, message: string, hint?: string) => void;
}

const COMMIT_INTERVAL = '100ms';
const TRANSACTION_TIMEOUT = '60s';

/** undefined for a sink at least once; what is wrong is told to the context. */
export function planLogTransactions(
  sink: LogSinkSpec,
  path: string,
  { spec, sources, protocol, problem }: LogTransactionContext,
): LogTransactionSettings | undefined {
  if (sink.guarantee === 'atLeastOnce') {
    for (const option of ['commitInterval', 'transactionTimeout'] as const)
      if (sink[option] !== undefined)
        problem(
          `${path}.${option}`,
          `${option} is about transactions, which the sink does not use`,
          'guarantee: exactlyOnce',
        );
    return undefined;
  }
  if (protocol === 'epochs' && sink.commitInterval !== undefined) {
    problem(
      `${path}.commitInterval`,
      'this job runs in epochs, and each of them is a transaction of its own',
      'take commitInterval away; trigger says how often an epoch comes',
    );
  }
  // The position of a job that runs in epochs is not one of its sources.
  if (protocol === 'lanes' && sources.some(({ brokers }) => brokers !== undefined)) {
    problem(
      `${path}.guarantee`,
      'exactlyOnce needs source and sink in one Kafka cluster, and a source names brokers of its own',
      'take guarantee away, or mirror the topic',
    );
  }
  if (spec.sinks.filter((other) => other.connector === 'kafka' && other.topic === sink.topic).length > 1) {
    problem(
      `${path}.topic`,
      `exactlyOnce keeps one position per topic, and several sinks write ${sink.topic}`,
      'write it by one sink: UNION ALL in the query, or two jobs',
    );
  }
  const commitIntervalMs = protocol === 'epochs' ? 0 : durationMs(sink.commitInterval ?? COMMIT_INTERVAL);
  const timeoutMs = durationMs(sink.transactionTimeout ?? TRANSACTION_TIMEOUT);
  // A transaction is ended after the interval and what its last requests take.
  if (timeoutMs < commitIntervalMs + 5000) {
    problem(
      `${path}.transactionTimeout`,
      `a transaction takes ${protocol === 'epochs' ? 'up to 5 s' : `commitInterval (${commitIntervalMs} ms) and up to 5 s more`}, and Kafka would abort it after ${timeoutMs} ms`,
      `transactionTimeout: ${TRANSACTION_TIMEOUT}`,
    );
  }
  return { commitIntervalMs, timeoutMs };
}
