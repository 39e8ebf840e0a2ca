/** The workers that are connected to this master, or were a moment ago. */
import type { Clock } from '../core/clock.ts';
import { WeirError } from '../core/errors.ts';
import type { WorkerId } from '../core/ids.ts';
import { workerId } from '../core/ids.ts';
import { META_FORMAT_VERSION } from '../core/meta.ts';
import type { ControlStream, Log } from '../core/ports.ts';
import type { Heartbeat, JobVersion, MasterMessage, Refused, Register, WorkerMessage } from '../proto/gen/control.ts';
import { PROTOCOL_VERSION } from '../proto/version.ts';
import type { EpochWorker } from './epochs-placement.ts';
import type { WorkerView } from './views.ts';

const HEARTBEAT_INTERVAL_MS = 500;
/** A worker silent for so long is taken for dead. */
const SILENCE_LIMIT_MS = 2500;
/** A broken connection may come back within this time before its worker is taken for dead. */
const RECONNECT_GRACE_MS = 1000;

type WorkerStream = ControlStream<WorkerMessage, MasterMessage>;

export interface WorkerPoolParts {
  /** Of this master. */
  readonly id: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Workers must present it; empty = none asked. Compared by `sameToken`, in constant time. */
  readonly token: string;
  readonly sameToken: (expected: string, given: string) => boolean;
  /** Jobs whose rows name a worker: it is told of them when it registers. */
  readonly jobsOf: (worker: WorkerId) => readonly JobVersion[];
  /** What a worker says of its lanes and epochs. */
  readonly onMessage: (worker: WorkerId, message: WorkerMessage) => void;
  /** Workers came, went, or are about to go. */
  readonly onChange: () => void;
  /** There is something to look at. */
  readonly wake: () => void;
}

interface KnownWorker {
  readonly id: WorkerId;
  stream: WorkerStream | null;
  readonly registered: Register;
  heardAt: number;
  lostAt: number | null;
  draining: boolean;
  /** Told that nothing is left of it here. */
  drained: boolean;
  /** Number of its registration: grows with every connection. */
  readonly session: number;
  heartbeat: Heartbeat | null;
}

export class WorkerPool {
  readonly #parts: WorkerPoolParts;
  readonly #workers = new Map<WorkerId, KnownWorker>();
  #sessions = 0;

  constructor(parts: WorkerPoolParts) {
    this.#parts = parts;
  }

  has(id: WorkerId): boolean {
    return this.#workers.has(id);
  }

  get ids(): Iterable<WorkerId> {
    return this.#workers.keys();
  }

  /** For the placement of lanes and key groups. */
  list(): EpochWorker[] {
    return [...this.#workers.values()].map(({ id, registered, draining, session }) => ({
      id,
      address: registered.exchangeAddress,
      threads: registered.threads,
      draining,
      session,
    }));
  }

  /** For people; `lanes`: how many a worker has. */
  views(lanes: (id: WorkerId) => number): WorkerView[] {
    const now = this.#parts.clock.mono();
    return [...this.#workers.values()].map((worker) => ({
      id: worker.id,
      state: worker.draining ? 'draining' : worker.stream === null ? 'silent' : 'alive',
      httpAddress: worker.registered.httpAddress ?? '',
      threads: worker.registered.threads ?? 0,
      version: worker.registered.weirVersion ?? '',
      lanes: lanes(worker.id),
      rssBytes: worker.heartbeat?.rssBytes ?? 0,
      eventLoopDelayMs: worker.heartbeat?.eventLoopDelayMs ?? 0,
      heartbeatAgeMs: now - worker.heardAt,
    }));
  }

  /** Does nothing when it is not connected: what it has to know it is told when it comes back. */
  send(id: WorkerId, message: MasterMessage): void {
    this.#workers.get(id)?.stream?.send(message);
  }

  /** It is given nothing more, until it comes back as another. Throws: NOT_FOUND. */
  drain(id: WorkerId): void {
    const worker = this.#workers.get(id);
    if (worker === undefined)
      throw new WeirError('NOT_FOUND', `there is no worker ${id}; 'weir get workers' lists them`);
    this.#leaves(worker);
  }

  /** Takes over a new connection of a worker. */
  attach(stream: WorkerStream): void {
    let known: KnownWorker | null = null;
    stream.onMessage((message) => {
      if (message.register !== undefined && message.register !== null) known = this.#register(stream, message.register);
      else if (known !== null && known.stream === stream) this.#hear(known, message);
    });
    stream.onClose((reason) => {
      if (known === null || known.stream !== stream) return;
      known.stream = null;
      known.lostAt = this.#parts.clock.mono();
      this.#parts.log.warn({ worker: known.id }, `connection to worker lost: ${reason}`);
      this.#parts.wake();
    });
  }

  /** Lets go of those that are silent, or whose connection did not come back. */
  dropDead(): void {
    const { clock, log, onChange } = this.#parts;
    const now = clock.mono();
    for (const worker of this.#workers.values()) {
      const silent = now - worker.heardAt > SILENCE_LIMIT_MS;
      const gone = worker.lostAt !== null && (worker.draining || now - worker.lostAt > RECONNECT_GRACE_MS);
      if (!silent && !gone) continue;
      log.warn({ worker: worker.id }, worker.draining ? 'worker left' : 'worker is gone: its lanes move');
      this.#workers.delete(worker.id);
      worker.stream?.close();
      onChange();
    }
  }

  /** Tells those that are leaving when nothing is left of them here, or there is nobody who could take it over. */
  sayDrained(hasWork: (id: WorkerId) => boolean): void {
    for (const worker of this.#workers.values()) {
      if (!worker.draining || worker.drained || worker.stream === null) continue;
      const others = [...this.#workers.values()].some((other) => !other.draining);
      if (others && hasWork(worker.id)) continue;
      worker.drained = true;
      worker.stream.send({ drained: {} });
    }
  }

  close(): void {
    for (const worker of this.#workers.values()) worker.stream?.close();
  }

  #register(stream: WorkerStream, register: Register): KnownWorker | null {
    const { id, clock, log, jobsOf, onChange, wake } = this.#parts;
    const refused = this.#refusal(register);
    if (refused !== null) {
      stream.send({ refused });
      return null;
    }
    const name = workerId(register.workerId ?? '');
    const before = this.#workers.get(name);
    this.#sessions += 1;
    const known: KnownWorker = {
      id: name,
      session: this.#sessions,
      stream,
      registered: register,
      heardAt: clock.mono(),
      lostAt: null,
      draining: before?.draining ?? false,
      drained: false,
      heartbeat: before?.heartbeat ?? null,
    };
    this.#workers.set(name, known);
    if (before?.stream !== null && before !== undefined) before.stream.close();
    stream.send({
      registered: { masterId: id, heartbeatIntervalMs: HEARTBEAT_INTERVAL_MS, silenceLimitMs: SILENCE_LIMIT_MS },
    });
    stream.send({ assign: { jobs: [...jobsOf(name)] } });
    log.info({ worker: name, http: register.httpAddress }, 'worker joined');
    onChange();
    wake();
    return known;
  }

  #refusal({ token: given, protocolVersion, formatVersion }: Register): Refused | null {
    const { token, sameToken } = this.#parts;
    if (token !== '' && !sameToken(token, given ?? ''))
      return {
        code: 'UNAUTHORIZED',
        message: "the master refused the worker's token; set WEIR_TOKEN to the master's token",
      };
    if (protocolVersion === PROTOCOL_VERSION && (formatVersion ?? 0) >= META_FORMAT_VERSION) return null;
    const message = `the master speaks protocol ${PROTOCOL_VERSION} and writes format ${META_FORMAT_VERSION}, the worker ${protocolVersion} and ${formatVersion}; run the same version of Weir on both`;
    return { code: 'VERSION_MISMATCH', message };
  }

  #hear(worker: KnownWorker, message: WorkerMessage): void {
    worker.heardAt = this.#parts.clock.mono();
    if (message.heartbeat !== undefined && message.heartbeat !== null) worker.heartbeat = message.heartbeat;
    if (message.drain !== undefined && message.drain !== null) {
      this.#leaves(worker);
    } else this.#parts.onMessage(worker.id, message);
  }

  #leaves(worker: KnownWorker): void {
    worker.draining = true;
    this.#parts.onChange();
    this.#parts.wake();
  }
}
