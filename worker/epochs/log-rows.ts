/**
 * Rows for topics that are written exactly once, on their way from the worker that made them to the one that writes them:
 * frames of a record batch each, to the stage that stands for the sink, with the partition as the port.
 */
import { partition } from '../../core/ids.ts';
import type { LogAppend } from '../../core/ports.ts';
import { recordCountOf } from '../../engine/codecs/decode-records.ts';
import type { Frame } from '../../engine/epoch/contract.ts';
import type { SinkOutput } from '../../engine/stage.ts';
import type { AssignmentView } from './assignment-view.ts';
import type { InputFrame } from './epoch-inbox.ts';
import type { FrameSender } from './frame-sender.ts';
import type { StageGraph } from './stage-graph.ts';

/** What a task gave for such topics; nothing when the plan has none of them. */
export function framesOf(outputs: readonly SinkOutput[], graph: StageGraph, view: AssignmentView): Frame[] {
  return graph.sinkStages.flatMap(({ stage, sink }) => {
    const output = outputs[sink];
    if (output?.kind !== 'log') return [];
    return output.appends.map(({ partition: port, batch }): Frame => {
      return { stage, port, destination: view.writer, rowCount: recordCountOf(batch, 0), bytes: batch };
    });
  });
}

/** Inverse of {@link framesOf}. */
export function appendsOf(frames: readonly InputFrame[], topic: string): LogAppend[] {
  return frames.map(({ port, bytes }) => ({ topic, partition: partition(port), batch: bytes }));
}

interface TaskRows {
  readonly stage: number;
  readonly part: number;
  readonly order: number;
  readonly outputs: readonly SinkOutput[];
}

/** Rows of map tasks, which end in any order: kept until all have, so that rows of a partition stay in theirs. */
export class MappedLogRows {
  readonly #graph: StageGraph;
  readonly #rows: TaskRows[] = [];

  constructor(graph: StageGraph) {
    this.#graph = graph;
  }

  /** `part`: the lane among those of this worker; `order`: place of the task within the lane. */
  add(stage: number, part: number, order: number, outputs: readonly SinkOutput[]): void {
    if (this.#graph.sinkStages.length > 0 && outputs.length > 0) this.#rows.push({ stage, part, order, outputs });
  }

  /** Throws: PEER_UNREACHABLE. */
  async send(sender: FrameSender, view: AssignmentView): Promise<void> {
    this.#rows.sort((a, b) => a.stage - b.stage || a.part - b.part || a.order - b.order);
    for (const { stage, part, outputs } of this.#rows.splice(0))
      await sender.send(stage, part, framesOf(outputs, this.#graph, view));
  }
}
