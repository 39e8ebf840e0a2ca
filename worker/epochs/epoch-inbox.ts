/**
 * What other workers (and this one) send for one attempt of one epoch. A stage's input is handed out only when it is
 * whole: from every worker of the assignment, for every stage that sends to it, all frames and the END that counts
 * them. What does not add up is an error, never an input.
 */
import { WeirError } from '../../core/errors.ts';
import { crc32c } from '../../core/crc32c.ts';
import type { ExchangeMessage } from '../../core/ports.ts';
import { Gate } from './gate.ts';

/** A frame as it goes into a reduce task. */
export interface InputFrame {
  readonly fromStage: number;
  readonly from: number;
  readonly part: number;
  readonly port: number;
  readonly thread: number;
  readonly rowCount: number;
  readonly bytes: Uint8Array;
}

interface Flow {
  readonly frames: InputFrame[];
  rows: number;
  crc: number;
  ended: boolean;
}

/** In a message that brings nothing for any stage: its sender has more to come. */
export const NO_STAGE = -1;

/** Checksum of a flow that brought nothing. */
export const EMPTY_FLOW_CRC = 0;

/** The flow's checksum with one more frame. */
export function addFrameToCrc(crc: number, bytes: Uint8Array): number {
  return crc32c(bytes, 0, bytes.byteLength, crc);
}

export class EpochInbox {
  readonly #flows = new Map<string, Flow>();
  /** Opens with every message that may complete an input. */
  readonly changed = new Gate();
  readonly #forgotten = new Set<number>();
  #broken: WeirError | null = null;
  #messages = 0;

  /** Grows with every message: tells a slow peer from a silent one. */
  get messageCount(): number {
    return this.#messages;
  }

  take(message: ExchangeMessage): void {
    this.#messages += 1;
    if (message.stage === NO_STAGE) return this.changed.open();
    const flow = this.#flow(message.stage, message.fromStage, message.from);
    if (message.end !== null) this.#end(message, flow);
    else if (flow.ended) this.#break(message, 'a frame came after the end');
    else {
      const { fromStage, from, part, port, thread, rowCount, bytes } = message;
      flow.frames.push({ fromStage, from, part, port, thread, rowCount, bytes });
      flow.rows += rowCount;
      flow.crc = addFrameToCrc(flow.crc, bytes);
    }
    this.changed.open();
  }

  /** What this worker sends to itself: no checksum, no copy. */
  takeOwn(stage: number, frame: InputFrame): void {
    this.#messages += 1;
    this.#flow(stage, frame.fromStage, frame.from).frames.push(frame);
  }

  endOwn(stage: number, fromStage: number, from: number): void {
    this.#flow(stage, fromStage, from).ended = true;
    this.changed.open();
  }

  /**
   * The whole input of a stage, in the same order for every attempt, or null while something is missing.
   *
   * Throws: PEER_UNREACHABLE when frames got lost or came twice: the epoch needs another attempt.
   */
  inputOf(stage: number, senders: readonly number[], workerCount: number): InputFrame[] | null {
    if (this.#broken !== null) throw this.#broken;
    if (this.#forgotten.has(stage))
      throw new WeirError(
        'PEER_UNREACHABLE',
        `the rows for stage ${stage} were folded before and are sent by another attempt`,
      );
    if (this.missing(stage, senders, workerCount).length > 0) return null;
    const frames: InputFrame[] = [];
    for (const fromStage of senders)
      for (let from = 0; from < workerCount; from++) frames.push(...this.#flow(stage, fromStage, from).frames);
    return frames.sort((a, b) => a.fromStage - b.fromStage || a.part - b.part || a.from - b.from || a.port - b.port);
  }

  /** Workers whose rows for a stage are not complete. */
  missing(stage: number, senders: readonly number[], workerCount: number): number[] {
    return Array.from({ length: workerCount }, (_, from) => from).filter((from) =>
      senders.some((fromStage) => this.#flows.get(keyOf(stage, fromStage, from))?.ended !== true),
    );
  }

  /** A stage that was folded needs its input no more; asking for it again is an error. */
  forget(stage: number): void {
    this.#forgotten.add(stage);
    for (const [key, flow] of this.#flows) if (key.startsWith(`${stage}/`)) flow.frames.length = 0;
  }

  #end(message: ExchangeMessage, flow: Flow): void {
    const { end } = message;
    if (end === null) return;
    if (flow.ended) this.#break(message, 'the end came twice');
    else if (end.frames !== flow.frames.length || end.rows !== flow.rows || end.crc !== flow.crc)
      this.#break(message, `${flow.frames.length} frames arrived of ${end.frames}, or other bytes than were sent`);
    else flow.ended = true;
  }

  #break(message: ExchangeMessage, what: string): void {
    this.#broken ??= new WeirError(
      'PEER_UNREACHABLE',
      `job ${message.job}, epoch ${message.epoch}, attempt ${message.attempt}: rows from worker ${message.from} for stage ` +
        `${message.stage} are not whole (${what}); the epoch is tried again`,
      { facts: { from: message.from, stage: message.stage } },
    );
  }

  #flow(stage: number, fromStage: number, from: number): Flow {
    const key = keyOf(stage, fromStage, from);
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = { frames: [], rows: 0, crc: EMPTY_FLOW_CRC, ended: false };
      this.#flows.set(key, flow);
    }
    return flow;
  }
}

function keyOf(stage: number, fromStage: number, from: number): string {
  return `${stage}/${fromStage}/${from}`;
}
