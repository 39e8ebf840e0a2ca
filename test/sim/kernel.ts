/**
 * The simulation kernel: virtual time and a seeded scheduler under real promises. One event runs per macrotask, so that
 * everything it set in motion has settled before the next one is taken. Time passes only between events. Who owns an
 * event decides its fate: those of a dead node are dropped (crash), those of a paused one wait (SIGSTOP).
 *
 * Technique: FoundationDB's simulator and TigerBeetle's VOPR, on the event loop of a single JavaScript thread.
 */
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/assert.ts';
import { SimRng } from './rng.ts';
import { trapRealTime } from './trap.ts';

/** Wall clock of every node at the start, ms since 1970. Virtual time counts from 0. */
export const SIM_EPOCH_MS = 1_700_000_000_000;

/** One life of one simulated process. A restarted process is a new node. */
export class SimNode {
  readonly name: string;
  dead = false;
  /** Virtual ms; events before it wait. Never moves back: see {@link Simulation.pause}. */
  pausedUntil = 0;
  /** Added to this node's wall clock. May change at any time: a clock that jumps. */
  wallSkewMs: number;
  /** Where this node's monotonic clock started. */
  readonly monoStartMs: number;

  constructor(name: string, wallSkewMs: number, monoStartMs: number) {
    this.name = name;
    this.wallSkewMs = wallSkewMs;
    this.monoStartMs = monoStartMs;
  }
}

interface Event {
  at: number;
  tie: number;
  readonly sequence: number;
  readonly node: SimNode | null;
  readonly run: () => void;
  cancelled: boolean;
}

/** What a checker found wrong. Ends the run. */
class SimViolation extends Error {
  override readonly name = 'SimViolation';
}

const realSetImmediate = setImmediate;
const nextMacrotask = (): Promise<void> => new Promise((resolve) => realSetImmediate(resolve));

export class Simulation {
  readonly rng: SimRng;
  readonly #ties: SimRng;
  readonly #heap: Event[] = [];
  #now = 0;
  #sequence = 0;
  #shifted = 0;
  #events = 0;
  #hash = 0x811c9dc5;
  #violation: SimViolation | null = null;

  constructor(seed: number) {
    this.rng = new SimRng(seed);
    this.#ties = this.rng.fork('ties');
  }

  /** Virtual ms since the start. */
  get now(): number {
    return this.#now;
  }

  get events(): number {
    return this.#events;
  }

  /** Equal for two runs that did the same things at the same times. */
  get traceHash(): number {
    return this.#hash >>> 0;
  }

  get violation(): SimViolation | null {
    return this.#violation;
  }

  /** Records what is wrong; the first one stands and the run ends after the current event. */
  fail(message: string): void {
    this.#violation ??= new SimViolation(`at ${this.#now.toFixed(3)} ms: ${message}`);
  }

  /** Mixes a fact into the trace hash. */
  note(text: string): void {
    for (let index = 0; index < text.length; index++)
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(index), 0x01000193);
  }

  node(name: string, wallSkewMs = 0): SimNode {
    return new SimNode(name, wallSkewMs, 1000 + this.rng.fork(`mono ${name}`).unit() * 1e6);
  }

  /** Runs `run` after `delayMs`, as `node` (null: the world, which neither dies nor pauses). The result cancels it. */
  at(delayMs: number, node: SimNode | null, run: () => void): () => void {
    assert(delayMs >= 0, () => `an event cannot run ${-delayMs} ms ago`);
    const event: Event = {
      at: this.#now + delayMs,
      tie: this.#ties.u32(),
      sequence: this.#sequence++,
      node,
      run,
      cancelled: false,
    };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** SIGSTOP, and SIGCONT after `ms`. What is due meanwhile waits. */
  pause(node: SimNode, ms: number): void {
    node.pausedUntil = Math.max(node.pausedUntil, this.#now + ms);
  }

  clock(node: SimNode): Clock {
    const timer = (ms: number, fn: () => void): (() => void) => this.at(Math.max(0, ms), node, fn);
    return {
      now: () => SIM_EPOCH_MS + Math.floor(this.#now + node.wallSkewMs),
      mono: () => node.monoStartMs + this.#now,
      timer,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted === true) {
            reject(signal.reason);
            return;
          }
          const onAbort = (): void => {
            cancel();
            reject(signal?.reason);
          };
          const cancel = timer(ms, () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          });
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }

  /**
   * Runs events until `done` says so, virtual time passes `untilMs`, a checker found a violation, or more than
   * `eventsMax` ran (which is a violation: something spins). Real time and chance are trapped meanwhile.
   */
  async run(untilMs: number, done: () => boolean = () => false, eventsMax = 5_000_000): Promise<void> {
    const release = trapRealTime();
    const onRejection = (error: unknown): void => this.fail(`unhandled rejection: ${describe(error)}`);
    process.on('unhandledRejection', onRejection);
    try {
      const stop = this.#events + eventsMax;
      while (this.#violation === null && !done()) {
        const event = this.#next(untilMs);
        if (event === null) return;
        if (this.#events >= stop) {
          this.fail(`more than ${eventsMax} events: something spins`);
          return;
        }
        this.#runEvent(event);
        await nextMacrotask();
      }
    } finally {
      release();
      process.off('unhandledRejection', onRejection);
    }
  }

  #runEvent(event: Event): void {
    this.#events++;
    this.#hash = Math.imul(this.#hash ^ event.sequence, 0x01000193) ^ Math.floor(event.at * 1000);
    try {
      event.run();
    } catch (error) {
      this.fail(`${event.node?.name ?? 'the world'} threw: ${describe(error)}`);
    }
  }

  /** The next event due by `untilMs`, or null; time stands at it (or at `untilMs`) afterwards. */
  #next(untilMs: number): Event | null {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > untilMs) {
        this.#now = Math.max(this.#now, untilMs);
        return null;
      }
      this.#pop();
      if (first.cancelled || first.node?.dead === true) continue;
      if (first.node !== null && first.node.pausedUntil > first.at) {
        // Waits in the order it was due in: streams stay in order over a pause.
        first.at = first.node.pausedUntil + ++this.#shifted * 1e-9;
        this.#push(first);
        continue;
      }
      this.#now = Math.max(this.#now, first.at);
      return first;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (!before(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
      if (!before(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Event, b: Event): boolean {
  if (a.at !== b.at) return a.at < b.at;
  return a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
