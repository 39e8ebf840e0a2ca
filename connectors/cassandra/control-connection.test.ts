import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { repairControlConnection } from './control-connection.ts';

interface Renewed {
  connection: unknown;
  host: unknown;
  _refresh(hosts: unknown): Promise<void>;
}

/** The driver's own renewal; `during` is what happens while it asks the node for what it knows. */
function renewal(during: (control: Renewed) => void): Renewed {
  const { prototype } = createRequire(import.meta.url)('cassandra-driver/lib/control-connection.js') as {
    readonly prototype: Renewed;
  };
  const control = Object.assign(Object.create(prototype) as Renewed, {
    log: () => undefined,
    _triedHosts: {},
    _refreshControlConnection: async () => {
      control.connection = { endpointFriendlyName: 'a', endpoint: 'a' };
    },
    _refreshHosts: async () => during(control),
    _registerToConnectionEvents: async () => undefined,
  });
  return control;
}

repairControlConnection();

test('a renewal that another one has overtaken ends, with what it asked for or without', async () => {
  const lost = renewal((control) => {
    control.connection = null;
    throw new Error('Socket was closed');
  });
  await lost._refresh([]);
  const got = renewal((control) => {
    control.connection = null;
    control.host = null;
  });
  await assert.doesNotReject(got._refresh([]));
  const early = renewal((control) => {
    // The other one has a connection again, which has not yet said whose it is.
    control.connection = { endpointFriendlyName: 'b', endpoint: 'b' };
    control.host = null;
  });
  await assert.doesNotReject(early._refresh([]));
});

test('any other failure is still one', async () => {
  const broken = renewal((control) => {
    // Nothing of the driver's policies is there, so that what follows fails.
    control.host = {};
  });
  await assert.rejects(broken._refresh([]), TypeError);
});
