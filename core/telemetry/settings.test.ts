import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isWeirError } from '../errors.ts';
import { traceSettings } from './settings.ts';

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' };

suite('trace settings', () => {
  test('off unless there is an endpoint, and where it is switched off', () => {
    assert.equal(traceSettings({}, 'weir-worker'), null);
    assert.equal(traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, 'weir-worker'), null);
    for (const more of [
      { OTEL_SDK_DISABLED: 'true' },
      { OTEL_TRACES_EXPORTER: 'none' },
      { OTEL_TRACES_SAMPLER: 'always_off' },
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    ])
      assert.equal(traceSettings({ ...endpoint, ...more }, 'weir-worker'), null);
  });

  test('with the names and meanings of OpenTelemetry', () => {
    assert.deepEqual(traceSettings(endpoint, 'weir-worker'), {
      endpoint: 'http://collector:4318/v1/traces',
      headers: {},
      timeoutMs: 10_000,
      delayMs: 1000,
      serviceName: 'weir-worker',
      resource: {},
      ratio: 1,
    });
    assert.deepEqual(
      traceSettings(
        {
          ...endpoint,
          OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://elsewhere/traces',
          OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20abc, x-scope=1',
          OTEL_EXPORTER_OTLP_TIMEOUT: '500',
          OTEL_BSP_SCHEDULE_DELAY: '50',
          OTEL_SERVICE_NAME: 'birds',
          OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=prod',
          OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
          OTEL_TRACES_SAMPLER_ARG: '0.25',
        },
        'weir-worker',
      ),
      {
        endpoint: 'https://elsewhere/traces',
        headers: { authorization: 'Basic abc', 'x-scope': '1' },
        timeoutMs: 500,
        delayMs: 50,
        serviceName: 'birds',
        resource: { 'deployment.environment.name': 'prod' },
        ratio: 0.25,
      },
    );
  });

  test('what cannot be meant is said, without secrets', () => {
    for (const [name, value] of [
      ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
      ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
      ['OTEL_EXPORTER_OTLP_TIMEOUT', '-1'],
      ['OTEL_TRACES_SAMPLER', 'sometimes'],
      ['OTEL_RESOURCE_ATTRIBUTES', 'nothing'],
    ] as const)
      assert.throws(
        () => traceSettings({ ...endpoint, [name]: value }, 'w'),
        (error) =>
          isWeirError(error, 'CONFIG_INVALID') && error.message.includes(name) && error.message.includes(value),
        name,
      );
    assert.throws(
      () => traceSettings({ ...endpoint, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, 'w'),
      /OTEL_TRACES_SAMPLER_ARG is "2"/,
    );
    assert.throws(
      () => traceSettings({ ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: 'Bearer secret' }, 'w'),
      (error) => isWeirError(error, 'CONFIG_INVALID') && !error.message.includes('secret'),
    );
  });
});
