/** A thread that runs lives; see lives.ts. */
import { parentPort } from 'node:worker_threads';
import { must } from '../../core/assert.ts';
import { liveTwice } from './life.ts';
import type { LivesReply, LivesRequest } from './lives.ts';

const port = must(parentPort, () => 'this file runs in a thread');

async function reply({ seed, settings }: LivesRequest): Promise<LivesReply> {
  try {
    return { result: await liveTwice(seed, settings) };
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

port.on('message', (request: LivesRequest) => {
  void reply(request).then((answer) => port.postMessage(answer));
});
