/**
 * Sends the frames of one attempt of one epoch to the workers of its assignment: own ones straight into the inbox,
 * others over their links. Counts and sums what it sends, for the END that closes each flow.
 */
import { must } from '../../core/assert.ts';
import type { ExchangeLink, ExchangeMessage } from '../../core/ports.ts';
import type { Frame } from '../../engine/epoch/contract.ts';
import type { AssignmentView } from './assignment-view.ts';
import type { EpochInbox } from './epoch-inbox.ts';
import { EMPTY_FLOW_CRC, NO_STAGE, addFrameToCrc } from './epoch-inbox.ts';

/** Names the attempt in every message. */
export interface AttemptKey {
  readonly job: string;
  readonly run: number;
  readonly token: number;
  readonly epoch: number;
  readonly attempt: number;
}

interface Flow {
  frames: number;
  rows: number;
  crc: number;
}

export class FrameSender {
  readonly #key: AttemptKey;
  readonly #view: AssignmentView;
  readonly #inbox: EpochInbox;
  readonly #link: (address: string) => ExchangeLink;
  readonly #onSent: (bytes: number) => void;
  readonly #flows = new Map<string, Flow>();

  constructor(
    key: AttemptKey,
    view: AssignmentView,
    inbox: EpochInbox,
    link: (address: string) => ExchangeLink,
    onSent: (bytes: number) => void,
  ) {
    this.#key = key;
    this.#view = view;
    this.#inbox = inbox;
    this.#link = link;
    this.#onSent = onSent;
  }

  /**
   * Sends frames whose destinations are those of the assignment's routing. Resolves when there is room for more.
   * Throws: PEER_UNREACHABLE with the fact `peer`.
   */
  async send(fromStage: number, part: number, frames: readonly Frame[]): Promise<void> {
    const sent: Promise<void>[] = [];
    const from = this.#view.self;
    for (const { stage, port, destination, rowCount, bytes } of frames) {
      const { worker, thread } = must(this.#view.destinations[destination], () => `no destination ${destination}`);
      if (worker === from) {
        this.#inbox.takeOwn(stage, { fromStage, from, part, port, thread, rowCount, bytes });
        continue;
      }
      const flow = this.#flow(fromStage, stage, worker);
      flow.frames += 1;
      flow.rows += rowCount;
      flow.crc = addFrameToCrc(flow.crc, bytes);
      this.#onSent(bytes.byteLength);
      sent.push(
        this.#post(worker, { ...this.#key, from, fromStage, part, stage, port, thread, rowCount, bytes, end: null }),
      );
    }
    await Promise.all(sent);
  }

  /** Closes the flows of `fromStage` to `stage` towards every worker, or towards the writer alone. Throws: PEER_UNREACHABLE. */
  async end(fromStage: number, stage: number, towards: 'all' | 'writer' = 'all'): Promise<void> {
    const from = this.#view.self;
    const writer = this.#view.assignment.groups[0];
    const sent: Promise<void>[] = [];
    for (let worker = 0; worker < this.#view.workerCount; worker++) {
      if (towards === 'writer' && worker !== writer) continue;
      if (worker === from) this.#inbox.endOwn(stage, fromStage, from);
      else {
        const { frames, rows, crc } = this.#flow(fromStage, stage, worker);
        const message = {
          part: 0,
          port: 0,
          thread: 0,
          rowCount: 0,
          bytes: new Uint8Array(0),
          end: { frames, rows, crc },
        };
        sent.push(this.#post(worker, { ...this.#key, from, fromStage, stage, ...message }));
      }
    }
    await Promise.all(sent);
  }

  /** Tells the other workers that rows are still to come. What cannot be told is noticed with the rows. */
  stillHere(): void {
    const nothing = { part: 0, port: 0, thread: 0, rowCount: 0, bytes: new Uint8Array(0), end: null };
    for (let worker = 0; worker < this.#view.workerCount; worker++) {
      if (worker === this.#view.self) continue;
      const message = { ...this.#key, from: this.#view.self, fromStage: NO_STAGE, stage: NO_STAGE, ...nothing };
      this.#post(worker, message).catch(() => undefined);
    }
  }

  #post(worker: number, message: ExchangeMessage): Promise<void> {
    return this.#link(this.#view.addressOf(worker)).send(message);
  }

  #flow(fromStage: number, stage: number, worker: number): Flow {
    const key = `${fromStage}/${stage}/${worker}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      flow = { frames: 0, rows: 0, crc: EMPTY_FLOW_CRC };
      this.#flows.set(key, flow);
    }
    return flow;
  }
}
