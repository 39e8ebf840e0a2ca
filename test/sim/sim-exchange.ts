/** The exchange between simulated workers: one stream per link on the pretend network, with acknowledgements as credits. */
import { WeirError } from '../../core/errors.ts';
import type { ControlStream, ExchangeLink, ExchangeMessage, ExchangeTransport } from '../../core/ports.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimNetwork } from './network.ts';

const CONNECT_TIMEOUT_MS = 1000;

type Handler = (message: ExchangeMessage) => Promise<void>;
interface Sent {
  readonly number: number;
  readonly message: ExchangeMessage;
}
interface Credit {
  readonly number: number;
}

interface Endpoint {
  readonly node: SimNode;
  handler: Handler | null;
}

/** Who is reached under which address. */
export class SimExchangeNetwork {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(sim: Simulation, network: SimNetwork) {
    this.#sim = sim;
    this.#network = network;
  }

  /** The transport of the process `node`, reached under `address`. */
  join(node: SimNode, address: string): ExchangeTransport {
    const endpoint: Endpoint = { node, handler: null };
    this.#endpoints.set(address, endpoint);
    const links = new Map<string, ExchangeLink>();
    return {
      open: (to) => {
        const link = links.get(to) ?? new SimLink(this.#sim, node, to, () => this.#connect(node, to));
        links.set(to, link);
        return link;
      },
      receive: (handler) => {
        endpoint.handler = handler;
      },
      close: () => {
        this.#endpoints.delete(address);
        return Promise.resolve();
      },
    };
  }

  /** Resolves at the client when the other process has taken the connection. */
  #connect(node: SimNode, address: string): Promise<ControlStream<Credit, Sent>> {
    const { promise, resolve, reject } = Promise.withResolvers<ControlStream<Credit, Sent>>();
    const cancel = this.#sim.at(CONNECT_TIMEOUT_MS, node, () => reject(unreachable(address)));
    const endpoint = this.#endpoints.get(address);
    if (endpoint === undefined || this.#network.isCut(node.name, endpoint.node.name)) return promise;
    this.#sim.at(this.#network.latency(), endpoint.node, () => {
      const { client, server } = this.#network.stream<Sent, Credit>(node, endpoint.node);
      server.onMessage(({ number, message }) => {
        const taken = endpoint.handler?.(message) ?? Promise.resolve();
        void taken.then(() => server.send({ number }));
      });
      if (this.#network.isCut(endpoint.node.name, node.name)) return;
      this.#sim.at(this.#network.latency(), node, () => {
        cancel();
        resolve(client);
      });
    });
    return promise;
  }
}

class SimLink implements ExchangeLink {
  readonly #sim: Simulation;
  readonly #node: SimNode;
  readonly #address: string;
  readonly #connect: () => Promise<ControlStream<Credit, Sent>>;
  readonly #waiting = new Map<number, PromiseWithResolvers<void>>();
  #stream: Promise<ControlStream<Credit, Sent>> | null = null;
  #number = 0;

  constructor(sim: Simulation, node: SimNode, address: string, connect: () => Promise<ControlStream<Credit, Sent>>) {
    this.#sim = sim;
    this.#node = node;
    this.#address = address;
    this.#connect = connect;
  }

  async send(message: ExchangeMessage): Promise<void> {
    const number = this.#number++;
    const stream = await (this.#stream ??= this.#open());
    const credit = Promise.withResolvers<void>();
    this.#waiting.set(number, credit);
    stream.send({ number, message });
    await credit.promise;
  }

  connect(): void {
    this.#stream ??= this.#open();
    this.#stream.catch(() => undefined);
  }

  close(): void {
    void this.#stream?.then(
      (stream) => stream.close(),
      () => undefined,
    );
    this.#stream = null;
  }

  async #open(): Promise<ControlStream<Credit, Sent>> {
    try {
      const stream = await this.#connect();
      stream.onMessage(({ number }) => {
        this.#waiting.get(number)?.resolve();
        this.#waiting.delete(number);
      });
      stream.onClose(() => this.#lost());
      return stream;
    } catch (error) {
      this.#stream = null;
      throw error;
    }
  }

  #lost(): void {
    this.#stream = null;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#sim.at(0, this.#node, () => {
      for (const credit of waiting) credit.reject(unreachable(this.#address));
    });
  }
}

function unreachable(address: string): WeirError {
  return new WeirError('PEER_UNREACHABLE', `the worker at ${address} does not answer`, { facts: { peer: address } });
}
