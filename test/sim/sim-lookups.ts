/** A pretend table that is asked by key while rows are on their way; it may say something else a moment later. */
import { WeirError } from '../../core/errors.ts';
import type { LookupAnswer, LookupConnector, LookupKey, LookupSource, LookupTable } from '../../core/lookup.ts';
import type { SimNode } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import { TABLE_SERVER } from './sim-tables.ts';

const REQUEST_TIMEOUT_MS = 700;
const KEYS_MAX = 4;

/** Rows by key, for each table by the name that jobs give it. A key without a row has none. */
export class SimLookupServer {
  readonly tables = new Map<string, Map<string, readonly unknown[]>>();

  answer(table: string, key: LookupKey): LookupAnswer {
    const values = this.tables.get(table)?.get(key.join('|'));
    return values === undefined ? { kind: 'none' } : { kind: 'row', values };
  }
}

/** One process's way there. It stands where the tables are, and is cut off with them. */
export class SimLookups implements LookupConnector {
  readonly #network: SimNetwork;
  readonly #server: SimLookupServer;
  readonly #node: SimNode;

  constructor(network: SimNetwork, server: SimLookupServer, node: SimNode) {
    this.#network = network;
    this.#server = server;
    this.#node = node;
  }

  open({ name }: LookupTable): Promise<LookupSource> {
    const unavailable = (): WeirError => new WeirError('LOOKUP_UNAVAILABLE', 'the simulated table does not answer');
    const request = {
      client: this.#node,
      server: TABLE_SERVER,
      timeoutMs: REQUEST_TIMEOUT_MS,
      write: false,
      unavailable,
    };
    return Promise.resolve({
      keysMax: KEYS_MAX,
      ask: (keys) => this.#network.request(request, () => keys.map((key) => this.#server.answer(name, key))),
      close: () => Promise.resolve(),
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
