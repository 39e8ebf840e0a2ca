/** Appends of jobs to the pretend Kafka. A full broker turns a call away now and then; the writer tries again. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import { backoffMs } from '../../core/clock.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { Partition } from '../../core/ids.ts';
import { offset } from '../../core/ids.ts';
import type { ExclusiveWriter, LogAppend, LogWriter } from '../../core/ports.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import type { SimRng } from './rng.ts';
import type { SimLogServer } from './sim-log.ts';
import { LOG_SERVER, attempt, unwrap } from './sim-log.ts';

const REQUEST_TIMEOUT_MS = 1500;

export class SimLogWriter implements LogWriter {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #server: SimLogServer;
  readonly #node: SimNode;
  readonly #rng: SimRng;
  readonly #fullEverySecondCall: boolean;
  #calls = 0;

  constructor(
    sim: Simulation,
    network: SimNetwork,
    server: SimLogServer,
    node: SimNode,
    rng: SimRng,
    options: { readonly fullEverySecondCall: boolean },
  ) {
    this.#sim = sim;
    this.#network = network;
    this.#server = server;
    this.#node = node;
    this.#rng = rng;
    this.#fullEverySecondCall = options.fullEverySecondCall;
  }

  partitionCount(topic: string): Promise<number> {
    return Promise.resolve(this.#server.topic(topic).partitions.length);
  }

  async append(appends: readonly LogAppend[], permit: WritePermit): Promise<void> {
    const clock = this.#sim.clock(this.#node);
    const copies = appends.map((append) => ({ ...append, batch: append.batch.slice() }));
    for (let attempt = 0; ; attempt++) {
      permit.check();
      try {
        const isFull = this.#fullEverySecondCall && this.#calls++ % 2 === 0;
        if (isFull) throw full();
        const request = {
          client: this.#node,
          server: LOG_SERVER,
          timeoutMs: REQUEST_TIMEOUT_MS,
          write: true,
          unavailable: full,
        };
        return await this.#network.request(request, () => {
          for (const { topic, partition, batch } of copies) this.#server.appendBatch(topic, partition, batch.slice());
        });
      } catch (error) {
        if (!isWeirError(error, 'SINK_UNAVAILABLE')) throw error;
        await clock.sleep(backoffMs(this.#rng, attempt, 20, 300));
      }
    }
  }

  /** As the embedded log has it: every append names the end it is to stand at. */
  async openExclusive(topic: string, partition: Partition): Promise<ExclusiveWriter> {
    const end = await this.#request(false, () => this.#server.lastStableOffset(topic, partition));
    let next = end;
    return {
      end: offset(end),
      append: async (records) => {
        const at = next;
        await this.#request(true, () => this.#server.appendAt(topic, partition, at, records));
        next += records.length;
      },
      close: () => Promise.resolve(),
    };
  }

  async #request<T>(write: boolean, apply: () => T): Promise<T> {
    const options = {
      client: this.#node,
      server: LOG_SERVER,
      timeoutMs: REQUEST_TIMEOUT_MS,
      write,
      unavailable: full,
    };
    return unwrap(await this.#network.request(options, () => attempt(apply)));
  }

  createTopic(topic: string, partitions: number): Promise<void> {
    if (!this.#server.has(topic)) this.#server.createTopic(topic, partitions);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function full(): WeirError {
  return new WeirError('SINK_UNAVAILABLE', 'the simulated log takes nothing now');
}
