/**
 * The driver's control connection, over which it hears of nodes and tables, is renewed when it ends. When another one ends
 * before that is done, two renewals run at once and take the connection from each other; the one that is left without it
 * rejects with a TypeError that nobody handles, which ends the process. The other one goes on, or tries again later.
 */
import { createRequire } from 'node:module';
import { assert } from '../../core/assert.ts';

interface PrivateControlConnection {
  /** null while it is renewed. */
  readonly connection: unknown;
  /** null until the new connection has said whose it is. */
  readonly host: unknown;
}

interface ControlConnectionPrototype {
  _refresh(this: PrivateControlConnection, hosts?: unknown): Promise<void>;
}

let isRepaired = false;

/** From now on a renewal that another one has overtaken ends in silence. */
export function repairControlConnection(): void {
  if (isRepaired) return;
  const load = createRequire(import.meta.url);
  const { prototype } = load('cassandra-driver/lib/control-connection.js') as {
    readonly prototype: ControlConnectionPrototype;
  };
  assert(
    typeof prototype._refresh === 'function',
    () =>
      'cassandra-driver renews its control connection otherwise than version 4.10.0: install cassandra-driver 4.10.0',
  );
  const { _refresh: refresh } = prototype;
  prototype._refresh = async function (hosts) {
    try {
      await refresh.call(this, hosts);
    } catch (error) {
      const isOvertaken = this.connection === null || this.host === null;
      if (!isOvertaken || !(error instanceof TypeError)) throw error;
    }
  };
  isRepaired = true;
}
