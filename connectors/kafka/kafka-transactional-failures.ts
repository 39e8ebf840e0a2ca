/** What the error codes of a transactional producer mean for it. */
import { WeirError } from '../../core/errors.ts';
import type { LogTransactionPlan } from '../../core/log-transactions.ts';
import { isTransient, kafkaErrorName, kafkaErrors } from './failures.ts';

/** Kafka gave the transaction up, or cannot go on with it: its records are sent again in another one. */
export class TransactionLost extends Error {
  override readonly name = 'TransactionLost';
  /** Kafka's name of it. */
  readonly reason: string;

  constructor(reason: string) {
    super(`Kafka lost the transaction: ${reason}`);
    this.reason = reason;
  }
}

/** What a request was for; decides which right is missing when Kafka refuses it. */
export type RequestPurpose = 'produce' | 'takeOver' | 'offset' | 'end';

/** The request may be sent again as it is: it was not done, or doing it twice does no harm. */
export function mayRepeat(code: number): boolean {
  return isTransient(code) || isBeingDecided(code);
}

/** Another transaction, the one before, is being ended: a matter of milliseconds. */
export function isBeingDecided(code: number): boolean {
  return code === kafkaErrors.CONCURRENT_TRANSACTIONS || code === kafkaErrors.UNSTABLE_OFFSET_COMMIT;
}

/** The coordinator is another broker now. */
export function meansOtherCoordinator(code: number): boolean {
  return code === kafkaErrors.NOT_COORDINATOR || code === kafkaErrors.COORDINATOR_NOT_AVAILABLE;
}

const lost = new Set<number>([
  kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER,
  kafkaErrors.INVALID_TXN_STATE,
  kafkaErrors.INVALID_PRODUCER_ID_MAPPING,
  kafkaErrors.UNKNOWN_PRODUCER_ID,
  kafkaErrors.TRANSACTION_ABORTABLE,
]);

/** An answer that is final for this request, as an error: {@link TransactionLost}, or a WeirError that ends the writer. */
export function transactionFailure(code: number, plan: LogTransactionPlan, purpose: RequestPurpose): Error {
  const reason = kafkaErrorName(code);
  if (lost.has(code)) return new TransactionLost(reason);
  const { job, topic, source, id, groups } = plan;
  const place = `job ${job}, topic ${topic}`;
  const facts = { topic, transactionalId: id, reason };
  switch (code) {
    case kafkaErrors.INVALID_PRODUCER_EPOCH:
    case kafkaErrors.PRODUCER_FENCED: {
      const text = `${place}: another producer took the transactional id ${id} over, or Kafka ended a transaction that stood open for longer than transactionTimeout (${reason}).`;
      return new WeirError('FENCED', text, { facts });
    }
    case kafkaErrors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case kafkaErrors.CLUSTER_AUTHORIZATION_FAILED:
      return denied(
        place,
        reason,
        facts,
        `Write and Describe on the TransactionalId ${id}`,
        '--transactional-id weir.',
      );
    case kafkaErrors.GROUP_AUTHORIZATION_FAILED:
      return denied(place, reason, facts, `Read on the Group ${groups[0]}`, '--group weir.');
    case kafkaErrors.TOPIC_AUTHORIZATION_FAILED: {
      const right = purpose === 'offset' ? `Read on the Topic ${source.topic}` : `Write on the Topic ${topic}`;
      return denied(place, reason, facts, right);
    }
    case kafkaErrors.INVALID_TRANSACTION_TIMEOUT: {
      const text = `${place}: Kafka takes no transactions of ${plan.timeoutMs} ms; lower transactionTimeout, or raise transaction.max.timeout.ms of the brokers.`;
      return new WeirError('CONFIG_INVALID', text, { facts });
    }
    case kafkaErrors.MESSAGE_TOO_LARGE:
    case kafkaErrors.RECORD_LIST_TOO_LARGE: {
      const text = `${place}: Kafka refused a batch as too large; raise max.message.bytes of the topic or write smaller records.`;
      return new WeirError('SINK_REFUSED', text, { facts });
    }
    default:
      return new WeirError('SINK_REFUSED', `${place}: Kafka refused a part of a transaction: ${reason}.`, { facts });
  }
}

/** `prefix`: how one rule covers every job. */
function denied(
  place: string,
  reason: string,
  facts: Readonly<Record<string, string>>,
  right: string,
  prefix?: string,
): WeirError {
  const rule = prefix === undefined ? '' : ` (for all jobs: an ACL with ${prefix} --resource-pattern-type prefixed)`;
  const text = `${place}: Kafka does not let this user write by transactions: ${reason}; allow ${right}${rule}.`;
  return new WeirError('UNAUTHORIZED', text, { facts });
}
