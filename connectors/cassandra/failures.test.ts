import assert from 'node:assert/strict';
import { test } from 'node:test';
import cassandra from 'cassandra-driver';
import { classify, connectFailure } from './failures.ts';

const { errors, types } = cassandra;
const codes = types.responseErrorCodes;
const response = (code: number, message = 'words of the server') => new errors.ResponseError(code, message);
const hosts = (inner: Record<string, unknown>) => new errors.NoHostAvailableError(inner);
const socketClosed = (written: boolean) =>
  Object.assign(new Error('Socket was closed'), { isSocketError: true, requestNotWritten: !written });

test('no answer is transient, and whether the request left is known', () => {
  const cases: readonly (readonly [unknown, boolean])[] = [
    [new errors.OperationTimedOutError('timed out', '127.0.0.1:9042'), true],
    [socketClosed(true), true],
    [socketClosed(false), false],
    [new errors.BusyConnectionError('127.0.0.1:9042', 2048, 1), false],
    [response(codes.writeTimeout), true],
    [response(codes.writeFailure), true],
    [response(codes.overloaded), true],
    [response(codes.unavailableException), true],
    [response(codes.serverError), true],
    [hosts({}), false],
    [hosts({ a: 'Host considered as DOWN' }), false],
    // What a pool throws while its connections are made again; preparing a statement lets it through as it is.
    [new Error('No connection available'), false],
    [new Error('Connection closed'), false],
    [
      hosts({ a: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED', syscall: 'connect' }) }),
      false,
    ],
    [hosts({ a: 'Host considered as DOWN', b: new errors.OperationTimedOutError('timed out', 'b') }), true],
  ];
  for (const [error, sent] of cases) {
    const failure = classify(error);
    assert.ok(failure.kind === 'transient', String(error));
    assert.equal(failure.sent, sent, String(error));
  }
});

test('what is inside a failure of all hosts decides', () => {
  assert.equal(classify(hosts({ a: 'Host considered as DOWN', b: response(codes.unprepared) })).kind, 'schemaChanged');
  assert.equal(classify(hosts({ a: response(codes.overloaded), b: response(codes.invalid) })).kind, 'invalid');
  assert.equal(classify(hosts({ a: new errors.AuthenticationError('bad') })).kind, 'credentials');
});

test('answers that will not change are not transient', () => {
  assert.equal(classify(response(codes.invalid, 'Batch too large')).kind, 'tooLarge');
  assert.equal(classify(response(codes.invalid, 'Request is too big: length 17000000')).kind, 'tooLarge');
  assert.equal(classify(response(codes.invalid, 'Undefined column name x')).kind, 'invalid');
  assert.equal(classify(response(codes.syntaxError)).kind, 'syntax');
  assert.equal(classify(response(codes.unauthorized)).kind, 'forbidden');
  assert.equal(classify(response(codes.configError)).kind, 'invalid');
  assert.equal(classify(new TypeError('a bug')).kind, 'foreign');
  assert.equal(classify(undefined).kind, 'foreign');
});

test('connections that fail have a sentence with the setting to look at', () => {
  const facts = { addresses: '10.0.0.1:9042', username: 'ada', tls: true };
  const tls = Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  const cases: readonly (readonly [unknown, object, string, RegExp])[] = [
    [hosts({ a: new errors.AuthenticationError('bad') }), facts, 'UNAUTHORIZED', /"ada".*CASSANDRA_PASSWORD/],
    [
      hosts({ a: new errors.AuthenticationError('none') }),
      { ...facts, username: null },
      'UNAUTHORIZED',
      /wants a user name/,
    ],
    [hosts({ a: tls }), facts, 'CONFIG_INVALID', /self-signed certificate.*CASSANDRA_TLS_CA/],
    [new errors.ArgumentError("localDataCenter was configured as 'x'"), facts, 'CONFIG_INVALID', /CASSANDRA_LOCAL_DC/],
    [
      hosts({ a: socketClosed(true) }),
      { ...facts, tls: false },
      'STORE_UNAVAILABLE',
      /10\.0\.0\.1:9042 does not answer.*CASSANDRA_TLS_CA/,
    ],
    [hosts({ a: socketClosed(true) }), facts, 'STORE_UNAVAILABLE', /CASSANDRA_CONTACT_POINTS is right\.$/],
  ];
  for (const [error, connection, code, message] of cases) {
    const found = connectFailure(error, connection as typeof facts, 'STORE_UNAVAILABLE');
    assert.equal(found.code, code, found.message);
    assert.match(found.message, message);
  }
});
