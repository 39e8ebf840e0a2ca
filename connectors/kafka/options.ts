/** How a Kafka cluster is reached: brokers, TLS and SASL, from the environment. */
import { readFileSync } from 'node:fs';
import { WeirError, messageOf } from '../../core/errors.ts';

export type SaslMechanism = 'plain' | 'scram-sha-256' | 'scram-sha-512';

export interface KafkaTls {
  /** PEM text of the certificate authority. Default: those of Node. Certificates are always verified. */
  readonly ca?: string;
  /** PEM texts of the client's certificate and key, where the brokers ask for one. */
  readonly cert?: string;
  readonly key?: string;
}

export interface KafkaOptions {
  /** `host:port` each; at least one. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls?: KafkaTls;
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string };
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORT = 9092;

/**
 * Options from KAFKA_BROKERS, KAFKA_CLIENT_ID, KAFKA_SSL (`true`), KAFKA_SSL_CA, KAFKA_SSL_CERT, KAFKA_SSL_KEY (files;
 * any of them turns TLS on), KAFKA_SASL_MECHANISM (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), KAFKA_SASL_USERNAME and
 * KAFKA_SASL_PASSWORD; undefined when no brokers are set. `brokers` stands for KAFKA_BROKERS where a job names its own.
 *
 * Throws: CONFIG_INVALID.
 */
export function kafkaOptionsFromEnv(
  env: Environment,
  brokers: string | undefined = env['KAFKA_BROKERS'],
): KafkaOptions | undefined {
  const addresses = (brokers ?? '')
    .split(',')
    .flatMap((part) => (part.trim() === '' ? [] : [brokerAddress(part.trim())]));
  if (addresses.length === 0) return undefined;
  const tls = tlsFromEnv(env);
  const sasl = saslFromEnv(env);
  return {
    brokers: addresses,
    clientId: nonEmpty(env['KAFKA_CLIENT_ID']) ?? 'weir',
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

/** `host:port`, with the usual port where none is given. */
function brokerAddress(text: string): string {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/\s]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) {
    throw new WeirError(
      'CONFIG_INVALID',
      `KAFKA_BROKERS holds "${text}"; write host:port, and a comma between two of them.`,
    );
  }
  return `${match[1]}:${match[2] ?? DEFAULT_PORT}`;
}

function tlsFromEnv(env: Environment): KafkaTls | undefined {
  const asked = nonEmpty(env['KAFKA_SSL'])?.toLowerCase();
  if (asked !== undefined && !['true', 'false', '1', '0'].includes(asked)) {
    throw new WeirError('CONFIG_INVALID', `KAFKA_SSL is "${env['KAFKA_SSL']}"; write true or false.`);
  }
  const ca = pemFile(env, 'KAFKA_SSL_CA');
  const cert = pemFile(env, 'KAFKA_SSL_CERT');
  const key = pemFile(env, 'KAFKA_SSL_KEY');
  if ((cert === undefined) !== (key === undefined)) {
    throw new WeirError('CONFIG_INVALID', 'KAFKA_SSL_CERT and KAFKA_SSL_KEY must be set together; only one is.');
  }
  const given = ca !== undefined || cert !== undefined;
  if (asked === 'false' || asked === '0' || (asked === undefined && !given)) return undefined;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function saslFromEnv(env: Environment): KafkaOptions['sasl'] {
  const mechanism = nonEmpty(env['KAFKA_SASL_MECHANISM'])?.toLowerCase();
  const username = nonEmpty(env['KAFKA_SASL_USERNAME']);
  const password = nonEmpty(env['KAFKA_SASL_PASSWORD']);
  if (mechanism === undefined && username === undefined && password === undefined) return undefined;
  if (username === undefined || password === undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD must both be set to sign in to Kafka.',
    );
  }
  const known = (['plain', 'scram-sha-256', 'scram-sha-512'] as const).find((name) => name === (mechanism ?? 'plain'));
  if (known === undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      `KAFKA_SASL_MECHANISM is "${env['KAFKA_SASL_MECHANISM']}"; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are known.`,
    );
  }
  return { mechanism: known, username, password };
}

function pemFile(env: Environment, name: string): string | undefined {
  const file = nonEmpty(env[name]);
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    if (text.includes('-----BEGIN ')) return text;
  } catch (error) {
    throw new WeirError('CONFIG_INVALID', `The file of ${name} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
  throw new WeirError('CONFIG_INVALID', `The file ${file} of ${name} holds no PEM text ("-----BEGIN …").`);
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value.trim();
}
