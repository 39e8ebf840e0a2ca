/** What Kafka's error codes and broken connections mean for Weir. */
import { WeirError, messageOf } from '../../core/errors.ts';

/** Codes of Kafka's protocol that are acted on. */
export const kafkaErrors = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  REPLICA_NOT_AVAILABLE: 9,
  MESSAGE_TOO_LARGE: 10,
  NETWORK_EXCEPTION: 13,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC: 17,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  INVALID_TIMESTAMP: 32,
  UNSUPPORTED_SASL_MECHANISM: 33,
  UNSUPPORTED_VERSION: 35,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  INVALID_TRANSACTION_TIMEOUT: 50,
  CONCURRENT_TRANSACTIONS: 51,
  TRANSACTION_COORDINATOR_FENCED: 52,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  KAFKA_STORAGE_ERROR: 56,
  SASL_AUTHENTICATION_FAILED: 58,
  UNKNOWN_PRODUCER_ID: 59,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  UNSUPPORTED_COMPRESSION: 76,
  OFFSET_NOT_AVAILABLE: 78,
  INVALID_RECORD: 87,
  UNSTABLE_OFFSET_COMMIT: 88,
  THROTTLING_QUOTA_EXCEEDED: 89,
  PRODUCER_FENCED: 90,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
  TRANSACTION_ABORTABLE: 120,
} as const;

const names = new Map<number, string>(Object.entries(kafkaErrors).map(([name, code]) => [code, name]));

/** `NOT_LEADER_OR_FOLLOWER`, or `error 77` for one without a name here. */
export function kafkaErrorName(code: number): string {
  return names.get(code) ?? `error ${code}`;
}

/** The topic is not (or no more) what metadata said: where it is must be asked again. */
const staleMetadata = new Set<number>([
  kafkaErrors.LEADER_NOT_AVAILABLE,
  kafkaErrors.NOT_LEADER_OR_FOLLOWER,
  kafkaErrors.REPLICA_NOT_AVAILABLE,
  kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION,
  kafkaErrors.KAFKA_STORAGE_ERROR,
  kafkaErrors.FENCED_LEADER_EPOCH,
  kafkaErrors.UNKNOWN_LEADER_EPOCH,
  kafkaErrors.UNKNOWN_TOPIC_ID,
  kafkaErrors.INCONSISTENT_TOPIC_ID,
]);

export function meansStaleMetadata(code: number): boolean {
  return staleMetadata.has(code);
}

const transient = new Set<number>([
  ...staleMetadata,
  kafkaErrors.REQUEST_TIMED_OUT,
  kafkaErrors.NETWORK_EXCEPTION,
  kafkaErrors.NOT_ENOUGH_REPLICAS,
  kafkaErrors.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  kafkaErrors.OFFSET_NOT_AVAILABLE,
  kafkaErrors.THROTTLING_QUOTA_EXCEEDED,
  kafkaErrors.COORDINATOR_LOAD_IN_PROGRESS,
  kafkaErrors.COORDINATOR_NOT_AVAILABLE,
  kafkaErrors.NOT_COORDINATOR,
]);

/** Whether the same request may succeed later, perhaps at another broker. */
export function isTransient(code: number): boolean {
  return transient.has(code);
}

/** An error of a whole topic, where it is final for now; undefined for those that pass. */
export function topicFailure(topic: string, code: number): WeirError | undefined {
  switch (code) {
    case kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION:
    case kafkaErrors.UNKNOWN_TOPIC_ID:
      return new WeirError('TOPIC_NOT_FOUND', `Kafka has no topic ${topic}; create it or correct the name.`, {
        facts: { topic },
      });
    case kafkaErrors.INVALID_TOPIC:
      return new WeirError('TOPIC_NOT_FOUND', `"${topic}" cannot be the name of a Kafka topic; correct it.`, {
        facts: { topic },
      });
    case kafkaErrors.TOPIC_AUTHORIZATION_FAILED:
      return new WeirError(
        'UNAUTHORIZED',
        `Kafka does not let this user use topic ${topic}; grant the right or change KAFKA_SASL_USERNAME.`,
        {
          facts: { topic },
        },
      );
    default:
      return undefined;
  }
}

/**
 * A request that got no answer, as an error with the broker's address: UNAUTHORIZED when the broker refused the
 * credentials, UNSUPPORTED when it is too old, else SOURCE_UNAVAILABLE. A WeirError passes unchanged.
 */
export function brokerFailure(address: string, error: unknown): WeirError {
  if (error instanceof WeirError) return error;
  const { name, type } = error as { readonly name?: string; readonly type?: string };
  const message = messageOf(error);
  if (
    name === 'KafkaJSSASLAuthenticationError' ||
    type === 'SASL_AUTHENTICATION_FAILED' ||
    type === 'UNSUPPORTED_SASL_MECHANISM'
  ) {
    return new WeirError(
      'UNAUTHORIZED',
      `Kafka at ${address} refused the credentials (${message}); check KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.`,
      {
        cause: error,
      },
    );
  }
  return new WeirError('SOURCE_UNAVAILABLE', `Kafka at ${address} does not answer: ${reasonOf(name, message)}.`, {
    cause: error,
  });
}

function reasonOf(name: string | undefined, message: string): string {
  const reason = message.replace(/^Connection error: /, '').replace(/\.$/, '');
  if (/certificate|altname|self.signed|unable to verify/i.test(reason)) {
    return `its certificate is not trusted (${reason}); check KAFKA_SSL_CA and the name in KAFKA_BROKERS`;
  }
  if (/wrong version number|EPROTO|SSL routines/i.test(reason)) {
    return `it does not speak TLS on this port (${reason}); check KAFKA_SSL`;
  }
  // What a broker does to a client that does not speak its listener's protocol.
  if (name === 'KafkaJSConnectionClosedError') {
    return 'it closed the connection; if this stays so, check whether the port wants TLS (KAFKA_SSL) or credentials (KAFKA_SASL_USERNAME)';
  }
  return reason;
}

/** The same failure as seen by a sink. */
export function asSinkFailure(error: unknown): unknown {
  if (!(error instanceof WeirError) || error.code !== 'SOURCE_UNAVAILABLE') return error;
  return new WeirError('SINK_UNAVAILABLE', error.message, { cause: error, facts: error.facts });
}
