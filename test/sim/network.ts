/**
 * The network between simulated processes: requests to servers (stores, logs, tables) and control streams between a
 * worker and the master. Every delay, loss and repetition is drawn from the seed.
 *
 * Servers are part of the world: they never die. What they may do to a request: lose it, lose the answer, apply it long
 * after the caller gave up or died, apply it twice.
 */
import type { WeirError } from '../../core/errors.ts';
import { WeirError as WeirErrorClass } from '../../core/errors.ts';
import type { ControlStream } from '../../core/ports.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimRng } from './rng.ts';

/** What may go wrong, as probabilities per message. All zero = a healthy network. */
export interface NetworkFaults {
  /** A request is never delivered. */
  readonly requestLost: number;
  /** A request is applied, its answer is not delivered. */
  readonly replyLost: number;
  /** A write is applied a long time later, when its caller has given up. */
  readonly late: number;
  /** A write is applied a second time, some time later. */
  readonly twice: number;
  /** A message takes a long time. */
  readonly slow: number;
  /** A control stream breaks when a message is sent. */
  readonly streamBroken: number;
}

export const healthy: NetworkFaults = { requestLost: 0, replyLost: 0, late: 0, twice: 0, slow: 0, streamBroken: 0 };

/** ms; how late a late write may be. Longer than any lease. */
const LATE_MS_MAX = 12_000;
/** A stream whose other side is silent for so long is closed by keepalive, ms. */
const KEEPALIVE_MS = 2000;

export interface RequestOptions {
  readonly client: SimNode;
  readonly server: string;
  readonly timeoutMs: number;
  /** Reads are neither repeated nor late: it would make no difference. */
  readonly write: boolean;
  readonly unavailable: () => WeirError;
}

export class SimNetwork {
  readonly #sim: Simulation;
  readonly #rng: SimRng;
  readonly #cuts = new Set<string>();
  faults: NetworkFaults = healthy;

  constructor(sim: Simulation) {
    this.#sim = sim;
    this.#rng = sim.rng.fork('network');
  }

  /** Nothing sent by `from` reaches `to` any more. Names are those of nodes without their incarnation, or of servers. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
  }

  /** Ends both directions' cuts between two. */
  mend(a: string, b: string): void {
    this.#cuts.delete(`${a}>${b}`);
    this.#cuts.delete(`${b}>${a}`);
  }

  /** Ends all cuts and faults. */
  heal(): void {
    this.#cuts.clear();
    this.faults = healthy;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** ms of one way. Mostly about 1 ms; a slow one up to 1.5 s. */
  latency(): number {
    if (this.#rng.chance(this.faults.slow)) return 5 + this.#rng.unit() * 1500;
    return 0.2 + this.#rng.unit() * 1.8;
  }

  /**
   * Sends a request. `apply` runs at the server, once, never or twice; the promise resolves with what its first timely
   */
  request<T>(options: RequestOptions, apply: () => T): Promise<T> {
    const { client, server, timeoutMs, write, unavailable } = options;
    const rng = this.#rng;
    return new Promise((resolve, reject) => {
      let settled = false;
      const settle = (finish: () => void): void => {
        if (settled) return;
        settled = true;
        cancelTimeout();
        finish();
      };
      const cancelTimeout = this.#sim.at(timeoutMs, client, () => settle(() => reject(unavailable())));
      const answer = (value: T): void => {
        if (rng.chance(this.faults.replyLost) || this.isCut(server, client.name)) return;
        this.#sim.at(this.latency(), client, () => settle(() => resolve(value)));
      };
      if (this.isCut(client.name, server) || rng.chance(this.faults.requestLost)) return;
      if (write && rng.chance(this.faults.late)) {
        this.#sim.at(timeoutMs + rng.unit() * LATE_MS_MAX, null, () => void apply());
        return;
      }
      this.#sim.at(this.latency(), null, () => answer(apply()));
      if (write && rng.chance(this.faults.twice))
        this.#sim.at(this.latency() + rng.unit() * LATE_MS_MAX, null, () => void apply());
    });
  }

  /** A new stream from `client` to `server`: both ends at once; messages flow from now on. */
  stream<ToServer, ToClient>(client: SimNode, server: SimNode): StreamPair<ToServer, ToClient> {
    const link: Link = { broken: false };
    const up = new StreamEnd<ToClient, ToServer>(this.#sim, this, this.#rng, client, server, link);
    const down = new StreamEnd<ToServer, ToClient>(this.#sim, this, this.#rng, server, client, link);
    up.connectTo(down);
    down.connectTo(up);
    return { client: up, server: down };
  }

  /** A process that ends takes its streams with it: the other side sees them close. */
  static unreachable(what: string): WeirError {
    return new WeirErrorClass('MASTER_UNREACHABLE', `the simulated network lost ${what}`);
  }
}

export interface StreamPair<ToServer, ToClient> {
  readonly client: StreamEnd<ToClient, ToServer>;
  readonly server: StreamEnd<ToServer, ToClient>;
}

interface Link {
  broken: boolean;
}

/** One side of a stream: in order, without gaps, until it breaks; a cut makes it half-open until keepalive notices. */
class StreamEnd<In, Out> implements ControlStream<In, Out> {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #rng: SimRng;
  readonly #node: SimNode;
  readonly #peerNode: SimNode;
  readonly #link: Link;
  #peer: StreamEnd<Out, In> | null = null;
  #onMessage: ((message: In) => void) | null = null;
  #onClose: ((reason: string) => void) | null = null;
  #closed = false;
  readonly #unsent: Out[] = [];
  readonly #early: In[] = [];
  #closedBefore: string | null = null;
  /** Messages never overtake each other. */
  #lastArrival = 0;

  constructor(sim: Simulation, network: SimNetwork, rng: SimRng, node: SimNode, peerNode: SimNode, link: Link) {
    this.#sim = sim;
    this.#network = network;
    this.#rng = rng;
    this.#node = node;
    this.#peerNode = peerNode;
    this.#link = link;
  }

  connectTo(peer: StreamEnd<Out, In>): void {
    this.#peer = peer;
    this.#watch();
  }

  /** What came before anybody listened is handed over now. */
  onMessage(handler: (message: In) => void): void {
    this.#onMessage = handler;
    for (const message of this.#early.splice(0)) handler(message);
  }

  onClose(handler: (reason: string) => void): void {
    this.#onClose = handler;
    if (this.#closedBefore !== null) this.#sim.at(0, this.#node, () => handler(this.#closedBefore ?? ''));
  }

  send(message: Out): void {
    if (this.#closed || this.#link.broken) return;
    if (this.#rng.chance(this.#network.faults.streamBroken)) {
      this.#break('connection reset');
      return;
    }
    this.#unsent.push(copyOf(message));
    this.#flush();
  }

  /** A cut link holds messages back, as TCP does; they are lost for good when keepalive gives up first. */
  #flush(): void {
    if (this.#network.isCut(this.#node.name, this.#peerNode.name)) return;
    for (const message of this.#unsent.splice(0)) this.#transmit(message);
  }

  #transmit(message: Out): void {
    const arrival = Math.max(this.#sim.now + this.#network.latency(), this.#lastArrival + 1e-6);
    this.#lastArrival = arrival;
    this.#sim.at(arrival - this.#sim.now, this.#peerNode, () => this.#peer?.deliver(message));
  }

  deliver(message: In): void {
    if (this.#closed) return;
    if (this.#onMessage === null) this.#early.push(message);
    else this.#onMessage(message);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const arrival = Math.max(this.#sim.now + this.#network.latency(), this.#lastArrival + 1e-6);
    if (!this.#network.isCut(this.#node.name, this.#peerNode.name)) {
      this.#sim.at(arrival - this.#sim.now, this.#peerNode, () => this.#peer?.closed('closed by the other side'));
    } else {
      // The other side learns of it by a reset, once something gets through again.
      this.#link.broken = true;
    }
    this.#sim.at(0, this.#node, () => this.#onClose?.('closed'));
  }

  closed(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#link.broken = true;
    if (this.#onClose === null) this.#closedBefore = reason;
    else this.#onClose(reason);
  }

  #break(reason: string): void {
    this.#link.broken = true;
    this.#sim.at(this.#network.latency(), this.#node, () => this.closed(reason));
    this.#sim.at(this.#network.latency(), this.#peerNode, () => this.#peer?.closed(reason));
  }

  /** Keepalive: each side closes when the other can no longer be heard for a while, or is dead. */
  #watch(): void {
    let silentSince: number | null = null;
    const look = (): void => {
      if (this.#closed) return;
      this.#flush();
      const { name } = this.#peerNode;
      const silent =
        this.#peerNode.dead ||
        this.#link.broken ||
        this.#network.isCut(name, this.#node.name) ||
        this.#network.isCut(this.#node.name, name);
      if (!silent) silentSince = null;
      else silentSince ??= this.#sim.now;
      // A side that has closed, and the system of a dead process, reset the connection as soon as the reset gets through.
      const reset = (this.#peerNode.dead || this.#link.broken) && !this.#network.isCut(name, this.#node.name);
      if (silentSince !== null && (reset || this.#sim.now - silentSince >= KEEPALIVE_MS))
        this.closed('keepalive got no answer');
      else this.#sim.at(100, this.#node, look);
    };
    this.#sim.at(100, this.#node, look);
  }
}

/** A copy of plain data, as a message has on the other side. */
function copyOf<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  const prototype = Object.getPrototypeOf(value) as unknown;
  if (prototype !== Object.prototype && prototype !== null) return structuredClone(value);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) copy[key] = copyOf((value as Record<string, unknown>)[key]);
  return copy as T;
}
