/**
 * The worker's side of the control stream over gRPC. Any number of masters may run and one of them leads: the others name
 * it, and the next connection goes there. A master that does not answer is left out for a moment, since others name it
 * until another one takes over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@grpc/grpc-js';
import { connectivityState } from '@grpc/grpc-js';
import { must } from '../core/assert.ts';
import { WeirError } from '../core/errors.ts';
import type { ControlClient, ControlStream } from '../core/ports.ts';
import type { MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { loadControl } from '../proto/load.ts';
import type { CurrentIdentity } from '../proto/tls.ts';
import { clientCredentials } from '../proto/tls.ts';

/** Longest wait for a connection, and for the answer to the first message on it, ms. */
const CONNECT_LIMIT_MS = 2000;
/** The same where other masters may be asked instead: a frozen one accepts connections, and then says nothing. */
const CONNECT_LIMIT_AMONG_MANY_MS = 1000;
/** Nobody leads yet: so long until the next master is asked, ms. */
const LEADERLESS_PAUSE_MS = 100;
/** A master that did not answer is not asked for so long, ms, unless it is the only one. */
const SHUN_MS = 1000;

export class GrpcControlClient implements ControlClient<MasterMessage, WorkerMessage> {
  readonly #addresses: readonly string[];
  readonly #identity: CurrentIdentity | null;
  #next = 0;
  /** Where to go first: the leader as the last master said, or the master whose connection broke. */
  #hint: string | null = null;
  readonly #shunnedUntil = new Map<string, number>();
  #leaderless = false;

  /** `host:port` of every master, at least one; `identity` null = plain text. */
  constructor(addresses: readonly string[], identity: CurrentIdentity | null = null) {
    this.#addresses = addresses;
    this.#identity = identity;
  }

  async connect(): Promise<ControlStream<MasterMessage, WorkerMessage>> {
    if (this.#leaderless) await sleep(LEADERLESS_PAUSE_MS);
    this.#leaderless = false;
    const address = this.#choose();
    const limitMs = this.#addresses.length === 1 ? CONNECT_LIMIT_MS : CONNECT_LIMIT_AMONG_MANY_MS;
    const client = loadControl().client(address, clientCredentials(this.#identity?.current ?? null, 'master'));
    if (!(await isReady(client, limitMs))) {
      client.close();
      this.#shun(address);
      throw new WeirError(
        'MASTER_UNREACHABLE',
        `the master at ${address} does not answer; start it with 'weir master', or name another with --master`,
      );
    }
    const call = client.connect();
    let closeHandler: (reason: string) => void = () => undefined;
    let closed = false;
    const ended = (reason: string): void => {
      if (closed) return;
      closed = true;
      clearTimeout(silence);
      client.close();
      closeHandler(reason);
    };
    // A stopped process accepts connections and answers nothing on them.
    const silence = setTimeout(() => {
      this.#shun(address);
      ended(`the master at ${address} does not answer`);
      call.cancel();
    }, limitMs);
    call.on('error', (error: Error) => {
      // It may be there still, and as leader takes this worker for dead if it does not come back soon.
      if (!closed) this.#hint = address;
      ended(error.message);
    });
    call.on('end', () => ended('the master closed the stream'));
    return {
      send: (message) => {
        if (!closed) call.write(message);
      },
      onMessage: (handler) => {
        call.on('data', (message: MasterMessage) => {
          clearTimeout(silence);
          const { notLeader } = message;
          if (notLeader === undefined || notLeader === null) return handler(message);
          this.#follow(notLeader.address);
          call.end();
          ended(`the master at ${address} does not lead`);
        });
      },
      onClose: (handler) => {
        closeHandler = handler;
      },
      close: () => {
        clearTimeout(silence);
        call.end();
        // A peer that hangs must not keep this process: the call is dropped when it does not end by itself.
        setTimeout(() => call.cancel(), 200).unref();
      },
    };
  }

  #choose(): string {
    const hint = this.#hint;
    // A hint is good once: the leader may be gone by now.
    this.#hint = null;
    if (hint !== null) return hint;
    for (let tried = 0; tried < this.#addresses.length; tried++) {
      const address = this.#addresses[this.#next++ % this.#addresses.length];
      if (address !== undefined && !this.#isShunned(address)) return address;
    }
    return must(this.#addresses[this.#next++ % this.#addresses.length], () => 'the address of a master');
  }

  #follow(leader: string): void {
    if (leader === '' || this.#isShunned(leader)) this.#leaderless = true;
    else this.#hint = leader;
  }

  #shun(address: string): void {
    this.#shunnedUntil.set(address, performance.now() + SHUN_MS);
  }

  #isShunned(address: string): boolean {
    return performance.now() < (this.#shunnedUntil.get(address) ?? 0);
  }
}

/** Whether the channel connects within the limit; refused connections are told at once. */
function isReady(client: Client, limitMs: number): Promise<boolean> {
  const channel = client.getChannel();
  const deadline = Date.now() + limitMs;
  return new Promise((resolve) => {
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) resolve(true);
      else if (state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN) resolve(false);
      else channel.watchConnectivityState(state, deadline, (error) => (error === undefined ? look() : resolve(false)));
    };
    look();
  });
}
