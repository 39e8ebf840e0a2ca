/** The brokers of one cluster: who they are, who leads what, and a shared connection to each for short requests. */
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { MemoryPool } from '../../core/memory-pool.ts';
import type { Log } from '../../core/ports.ts';
import { brokerFailure, isTransient, kafkaErrorName, kafkaErrors, topicFailure } from './failures.ts';
import type { BrokerLink, FetchLink } from './kafkajs-internals.ts';
import { KafkaTransport, splitAddress } from './kafkajs-internals.ts';
import type { KafkaOptions } from './options.ts';
import type { BrokerAddress, ClusterMetadata, Request, TopicMetadata } from './requests.ts';
import { apis, metadataRequest } from './requests.ts';

export interface KafkaParts {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  /** What records are received into; default: a pool of its own. */
  readonly memory?: MemoryPool;
}

/** How often a transient refusal is met with another attempt before it is reported. */
const ATTEMPTS_MAX = 6;

export class Brokers {
  readonly transport: KafkaTransport;
  readonly #parts: KafkaParts;
  readonly #addresses = new Map<number, BrokerAddress>();
  /** Open or opening connections by `host:port`. */
  readonly #links = new Map<string, Promise<BrokerLink>>();
  /** The place that answered last: the first to ask again. */
  #answering: { readonly host: string; readonly port: number } | null = null;
  #closed = false;

  constructor(options: KafkaOptions, parts: KafkaParts) {
    this.transport = new KafkaTransport(options, parts.log);
    this.#parts = parts;
  }

  /**
   * Where the topic is now. Waits out elections for a short while; a topic may still come back with partitions that
   * have no leader.
   *
   * Throws: TOPIC_NOT_FOUND, UNAUTHORIZED, UNSUPPORTED, SOURCE_UNAVAILABLE.
   */
  topic(name: string, attemptsMax = ATTEMPTS_MAX): Promise<TopicMetadata> {
    return this.retry(async () => {
      const found = (await this.#metadata([name])).topics.find((topic) => topic.topic === name);
      if (found === undefined) throw topicFailure(name, kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION) as WeirError;
      if (found.errorCode !== kafkaErrors.NONE)
        throw topicFailure(name, found.errorCode) ?? this.refused(`topic ${name}`, found.errorCode);
      return found;
    }, attemptsMax);
  }

  /** Asks the shared connection of a broker. Throws: SOURCE_UNAVAILABLE, UNAUTHORIZED. */
  async ask<Answer>(nodeId: number, request: Request<Answer>): Promise<Answer> {
    return (await this.#link(this.#addressOf(nodeId))).send(request);
  }

  /** Asks any broker that answers. */
  async askAny<Answer>(request: Request<Answer>): Promise<Answer> {
    return (await this.#anyLink()).send(request);
  }

  /** A connection to fetch over, to a broker that metadata named. Closed by the caller. */
  open(nodeId: number, memory: MemoryPool): Promise<FetchLink> {
    const { host, port } = this.#addressOf(nodeId);
    return this.transport.openForFetch(host, port, memory);
  }

  learn(broker: BrokerAddress): void {
    this.#addresses.set(broker.nodeId, broker);
  }

  /** Repeats what fails for a passing reason, a few times with growing pauses. */
  async retry<T>(attempt: () => Promise<T>, attemptsMax = ATTEMPTS_MAX): Promise<T> {
    for (let count = 1; ; count++) {
      try {
        return await attempt();
      } catch (error) {
        const passing = error instanceof WeirError && error.code === 'SOURCE_UNAVAILABLE';
        if (!passing || count >= attemptsMax || this.#closed) throw error;
        await this.#parts.clock.sleep(backoffMs(this.#parts.rng, count, 25, 500));
      }
    }
  }

  /** What a broker answered instead of doing it. */
  refused(what: string, code: number): WeirError {
    const where = this.transport.options.brokers.join(', ');
    const reason = kafkaErrorName(code);
    if (isTransient(code))
      return new WeirError('SOURCE_UNAVAILABLE', `Kafka at ${where} cannot serve ${what} at the moment: ${reason}.`);
    if (code === kafkaErrors.GROUP_AUTHORIZATION_FAILED || code === kafkaErrors.CLUSTER_AUTHORIZATION_FAILED) {
      return new WeirError(
        'UNAUTHORIZED',
        `Kafka at ${where} does not allow ${what}: ${reason}; grant the right to the user of this process.`,
      );
    }
    return new WeirError('SOURCE_UNAVAILABLE', `Kafka at ${where} refused ${what}: ${reason}.`);
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) {
      link.then(
        (opened) => opened.close(),
        () => undefined,
      );
    }
    this.#links.clear();
  }

  async #metadata(topics: readonly string[]): Promise<ClusterMetadata> {
    const metadata = await this.askAny(metadataRequest(topics));
    this.#addresses.clear();
    for (const broker of metadata.brokers) this.learn(broker);
    return metadata;
  }

  #addressOf(nodeId: number): BrokerAddress {
    const address = this.#addresses.get(nodeId);
    if (address !== undefined) return address;
    const where = this.transport.options.brokers.join(', ');
    throw new WeirError('SOURCE_UNAVAILABLE', `Kafka at ${where} names no broker ${nodeId} at the moment.`);
  }

  async #link({ host, port }: { readonly host: string; readonly port: number }): Promise<BrokerLink> {
    if (this.#closed) throw new WeirError('SOURCE_UNAVAILABLE', 'The connection to Kafka was closed.');
    const key = `${host}:${port}`;
    const open = this.#links.get(key);
    if (open !== undefined) {
      const link = await open.catch(() => undefined);
      if (link?.usable === true) return link;
      if (this.#links.get(key) === open) this.#links.delete(key);
      else return this.#link({ host, port });
    }
    const opening = this.transport.open(host, port, Object.values(apis));
    this.#links.set(key, opening);
    // A connection that came too late for close().
    if (this.#closed)
      opening.then(
        (link) => link.close(),
        () => undefined,
      );
    return opening;
  }

  /** Brokers that metadata named first, then those of the settings. */
  async #anyLink(): Promise<BrokerLink> {
    const named = [...this.#addresses.values()].map(({ host, port }) => ({ host, port }));
    const given = this.transport.options.brokers.map(splitAddress);
    const failures: WeirError[] = [];
    const tried = new Set<string>();
    for (const place of [...(this.#answering === null ? [] : [this.#answering]), ...named, ...given]) {
      const address = `${place.host}:${place.port}`;
      if (tried.has(address)) continue;
      tried.add(address);
      try {
        const link = await this.#link(place);
        this.#answering = place;
        return link;
      } catch (error) {
        const failure = brokerFailure(address, error);
        if (!failure.retryable) throw failure;
        failures.push(failure);
      }
    }
    const [first] = failures;
    if (first !== undefined && failures.length === 1) throw first;
    throw new WeirError(
      'SOURCE_UNAVAILABLE',
      `No broker of Kafka answers: ${failures.map((failure) => failure.message).join(' ')}`,
      { cause: first },
    );
  }
}
