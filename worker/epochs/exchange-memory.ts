/** Exchange between workers of one process: tests and everything that needs no network. Messages arrive in later turns. */
import { WeirError } from '../../core/errors.ts';
import type { ExchangeLink, ExchangeMessage, ExchangeTransport } from '../../core/ports.ts';

type Handler = (message: ExchangeMessage) => Promise<void>;

/** The network that memory transports meet in. */
export class MemoryExchangeNetwork {
  readonly #handlers = new Map<string, Handler>();
  /** Looks at every message on its way: what it returns arrives instead, in order. Tests lose and repeat messages so. */
  intercept: (to: string, message: ExchangeMessage) => readonly ExchangeMessage[] = (_, message) => [message];

  /** A transport that is reached at `address`. */
  join(address: string): ExchangeTransport {
    return {
      open: (to) => this.#link(to),
      receive: (handler) => {
        this.#handlers.set(address, handler);
      },
      close: () => {
        this.#handlers.delete(address);
        return Promise.resolve();
      },
    };
  }

  #link(to: string): ExchangeLink {
    let ordered: Promise<void> = Promise.resolve();
    return {
      send: (message) => {
        const sent = ordered.then(async () => {
          for (const arrives of this.intercept(to, message)) {
            const handler = this.#handlers.get(to);
            if (handler === undefined)
              throw new WeirError('PEER_UNREACHABLE', `the worker at ${to} does not answer`, { facts: { peer: to } });
            await handler(arrives);
          }
        });
        ordered = sent.catch(() => undefined);
        return sent;
      },
      connect: () => undefined,
      close: () => undefined,
    };
  }
}
