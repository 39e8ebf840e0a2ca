/** The thread in which {@link ThreadLab} has its work done: one request at a time, answered by one message. */
import { parentPort } from 'node:worker_threads';
import { must } from '../../core/assert.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { codeOf, messageOf } from '../../core/errors.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import type { LogPiece, SampleRecord, TapPlace } from '../../master/lab.ts';
import { decodePieces } from './decode-pieces.ts';
import { pieceOf, sampleRun } from './sample-run.ts';

export type LabRequest =
  | { readonly kind: 'decode'; readonly pieces: readonly LogPiece[]; readonly bytesMax: number; readonly limit: number }
  | {
      readonly kind: 'run';
      readonly plan: JobPlan;
      readonly pieces: readonly LogPiece[];
      readonly at: TapPlace | null;
      readonly limit: number;
    }
  | {
      readonly kind: 'runRecords';
      readonly plan: JobPlan;
      readonly records: Readonly<Record<string, readonly SampleRecord[]>>;
      /** Of the first record, ms since 1970. */
      readonly timeMs: number;
      readonly at: TapPlace | null;
      readonly limit: number;
    };

export type LabReply = { readonly value: unknown } | { readonly code: ErrorCode; readonly message: string };

const port = must(parentPort, () => 'this file runs as a thread');

port.on('message', (request: LabRequest) => {
  let reply: LabReply;
  try {
    reply = { value: answer(request) };
  } catch (error) {
    reply = { code: codeOf(error), message: messageOf(error) };
  }
  port.postMessage(reply);
});

function answer(request: LabRequest): unknown {
  switch (request.kind) {
    case 'decode':
      return decodePieces(request.pieces, request.bytesMax, request.limit);
    case 'run':
      return sampleRun(request.plan, request.pieces, request.at, request.limit);
    case 'runRecords': {
      const pieces = Object.entries(request.records)
        .filter(([, records]) => records.length > 0)
        .map(([source, records]) => pieceOf(source, records, request.timeMs));
      return sampleRun(request.plan, pieces, request.at, request.limit);
    }
  }
}
