/**
 * What the driver's errors mean. It wraps most of them: an unreachable node, a request without an answer and a dropped
 * column all arrive as NoHostAvailableError, so the decision looks at what is inside.
 */
import cassandra from 'cassandra-driver';
import { WeirError, messageOf, type ErrorCode } from '../../core/errors.ts';

const { errors, types } = cassandra;
const codes = types.responseErrorCodes;

export type Failure =
  /** No answer, or one that may differ next time. `sent` is false when the request certainly never left. */
  | { readonly kind: 'transient'; readonly sent: boolean; readonly overloaded: boolean; readonly message: string }
  /** A prepared statement could not be prepared again: a column or table it names is gone. */
  | { readonly kind: 'schemaChanged'; readonly message: string }
  /** More bytes in one batch or request than the server takes. */
  | { readonly kind: 'tooLarge'; readonly message: string }
  | { readonly kind: 'credentials'; readonly message: string }
  /** The role may not do this. */
  | { readonly kind: 'forbidden'; readonly message: string }
  | { readonly kind: 'syntax'; readonly message: string }
  /** Refused for good: invalid, or a setting forbids it. */
  | { readonly kind: 'invalid'; readonly message: string }
  /** Not from the driver: a bug of ours. */
  | { readonly kind: 'foreign' };

/** How strongly a failure of one host speaks for the whole: the first one present decides. */
const precedence: readonly Failure['kind'][] = [
  'schemaChanged',
  'tooLarge',
  'credentials',
  'forbidden',
  'syntax',
  'invalid',
  'transient',
];

const POOL_IS_EMPTY: ReadonlySet<string> = new Set(['No connection available', 'Connection closed']);

export function classify(error: unknown): Failure {
  if (error instanceof errors.NoHostAvailableError) return classifyHosts(error);
  if (error instanceof errors.AuthenticationError) return { kind: 'credentials', message: error.message };
  if (error instanceof errors.ResponseError) return classifyResponse(error);
  if (error instanceof errors.OperationTimedOutError) return transient(true, true, error.message);
  if (error instanceof errors.BusyConnectionError) return transient(false, true, error.message);
  if (error instanceof errors.DriverInternalError) {
    // The statement fell out of the driver's cache; preparing it again helps.
    return error.message.startsWith('Unprepared response invalid')
      ? { kind: 'schemaChanged', message: error.message }
      : transient(true, false, error.message);
  }
  const { requestNotWritten, syscall } = (error ?? {}) as {
    readonly requestNotWritten?: boolean;
    readonly syscall?: string;
  };
  const written = requestNotWritten !== true && syscall !== 'connect';
  if (error instanceof errors.DriverError || isSocketError(error)) return transient(written, false, messageOf(error));
  // A pool without connections throws an error of no class, which only most of its callers wrap.
  if (error instanceof Error && POOL_IS_EMPTY.has(error.message)) return transient(false, false, error.message);
  return { kind: 'foreign' };
}

function classifyHosts(error: InstanceType<typeof errors.NoHostAvailableError>): Failure {
  const failures: Failure[] = [];
  for (const [host, inner] of Object.entries((error.innerErrors ?? {}) as Record<string, unknown>)) {
    // A host that was skipped or could not be connected to has a text or a system error instead of an answer.
    const failure =
      inner === null || typeof inner === 'string' ? transient(false, false, inner ?? 'no connection') : classify(inner);
    failures.push(failure.kind === 'foreign' ? transient(false, false, messageOf(inner)) : withHost(failure, host));
  }
  for (const kind of precedence) {
    const found = failures.filter((failure) => failure.kind === kind);
    const [first] = found;
    if (first === undefined) continue;
    if (first.kind !== 'transient') return first;
    const sent = failures.some((failure) => failure.kind === 'transient' && failure.sent);
    return {
      ...first,
      sent,
      message: found.map((failure) => (failure.kind === 'transient' ? failure.message : '')).join('; '),
    };
  }
  return transient(false, false, 'no node is up');
}

function withHost(failure: Failure, host: string): Failure {
  return failure.kind === 'transient' && !failure.message.includes(host)
    ? { ...failure, message: `${host}: ${failure.message}` }
    : failure;
}

function classifyResponse(error: InstanceType<typeof errors.ResponseError>): Failure {
  const { message } = error;
  switch (error.code) {
    case codes.unavailableException:
      return transient(true, true, message);
    case codes.overloaded:
    case codes.writeTimeout:
    case codes.readTimeout:
    case codes.writeFailure:
    case codes.readFailure:
    case codes.isBootstrapping:
    case codes.truncateError:
      return transient(true, true, message);
    case codes.unprepared:
      return { kind: 'schemaChanged', message };
    case codes.badCredentials:
      return { kind: 'credentials', message };
    case codes.unauthorized:
      return { kind: 'forbidden', message };
    case codes.syntaxError:
      return { kind: 'syntax', message };
    case codes.invalid:
      return { kind: /too large|too big|maximum allowed size/i.test(message) ? 'tooLarge' : 'invalid', message };
    case codes.configError:
    case codes.alreadyExists:
    case codes.functionFailure:
    case codes.protocolError:
      return { kind: 'invalid', message };
    default:
      return transient(true, false, message);
  }
}

function transient(sent: boolean, overloaded: boolean, message: string): Failure {
  return { kind: 'transient', sent, overloaded, message };
}

function isSocketError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { isSocketError: marked, code } = error as { isSocketError?: boolean; code?: unknown };
  return marked === true || (typeof code === 'string' && /^E[A-Z]+$/.test(code)) || isTlsError(error);
}

/** Node's and OpenSSL's codes of certificates that are not trusted and of handshakes that fail. */
function isTlsError(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code ?? '');
  return /CERT|SELF_SIGNED|ISSUER|^ERR_TLS|^ERR_SSL|^EPROTO$|UNABLE_TO/.test(code);
}

/** Everything thrown inside `error`, itself included. */
function* insideOf(error: unknown): Generator<unknown> {
  yield error;
  const inner = (error as { innerErrors?: Record<string, unknown> | null } | null)?.innerErrors;
  for (const one of Object.values(inner ?? {})) yield* insideOf(one);
  const single = (error as { innerError?: unknown } | null)?.innerError;
  if (single !== undefined) yield* insideOf(single);
}

export interface ConnectionFacts {
  /** For people: `127.0.0.1:9042, 127.0.0.2:9042`. */
  readonly addresses: string;
  readonly username: string | null;
  readonly tls: boolean;
}

/** The sentence for a connection that could not be made: what is wrong and which setting to look at. */
export function connectFailure(error: unknown, facts: ConnectionFacts, unavailable: ErrorCode): WeirError {
  const failure = classify(error);
  const tls = [...insideOf(error)].find(isTlsError);
  const at = `Cassandra at ${facts.addresses}`;
  const details = { cause: error };
  if (failure.kind === 'credentials') {
    const who =
      facts.username === null
        ? 'wants a user name and password'
        : `refused the user "${facts.username}" or its password`;
    return new WeirError('UNAUTHORIZED', `${at} ${who}. Set CASSANDRA_USERNAME and CASSANDRA_PASSWORD.`, details);
  }
  if (tls !== undefined) {
    const wantsOurs = /certificate.required|bad.certificate/i.test(
      `${messageOf(tls)} ${(tls as { code?: string }).code ?? ''}`,
    );
    const remedy = wantsOurs
      ? 'The server wants a certificate that it knows: set CASSANDRA_TLS_CERT and CASSANDRA_TLS_KEY'
      : 'CASSANDRA_TLS_CA must name the certificate authority that signed the server certificate, and the server must listen with TLS';
    return new WeirError(
      'CONFIG_INVALID',
      `The TLS connection to ${at} was not made: ${messageOf(tls)}. ${remedy}.`,
      details,
    );
  }
  if (error instanceof errors.ArgumentError)
    return new WeirError('CONFIG_INVALID', `${at}: ${error.message}. Check CASSANDRA_LOCAL_DC.`, details);
  const hint = facts.tls ? '' : ' If it listens with TLS, set CASSANDRA_TLS_CA.';
  const reason = failure.kind === 'foreign' ? messageOf(error) : failure.message;
  return new WeirError(
    unavailable,
    `${at} does not answer: ${reason}. Check that it runs and that CASSANDRA_CONTACT_POINTS is right.${hint}`,
    details,
  );
}
