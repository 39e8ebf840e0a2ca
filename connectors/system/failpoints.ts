/**
 * Failpoints of a real process, armed by WEIR_FAILPOINTS: `name=action[@n]` separated by commas, where action is `kill`
 * (SIGKILL to itself), `stop` (SIGSTOP to itself) or `delay:ms`, done on the n-th hit (default 1). Each hit that acts
 * first writes the name to stderr, so a test can see that it happened. Unset: nothing.
 */
import { writeSync } from 'node:fs';
import type { FailpointName, Failpoints } from '../../core/ports.ts';
import { failpointNames, noFailpoints } from '../../core/ports.ts';
import { WeirError } from '../../core/errors.ts';

interface Armed {
  readonly action: 'kill' | 'stop' | 'delay';
  readonly ms: number;
  readonly at: number;
  hits: number;
}

/** Throws: CONFIG_INVALID for a name or action that does not exist. */
export function failpointsFrom(text: string | undefined): Failpoints {
  if (text === undefined || text === '') return noFailpoints;
  const armed = new Map(text.split(',').map((part) => parse(part.trim())));
  return {
    hit(name) {
      const point = armed.get(name);
      if (point === undefined || ++point.hits !== point.at) return undefined;
      writeSync(2, `failpoint ${name} ${point.action}\n`);
      if (point.action === 'delay') return new Promise((resolve) => setTimeout(resolve, point.ms));
      process.kill(process.pid, point.action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      return undefined;
    },
  };
}

function parse(part: string): [FailpointName, Armed] {
  const match = /^([A-Za-z.]+)=(kill|stop|delay:(\d+))(?:@(\d+))?$/.exec(part);
  const name = failpointNames.find((known) => known === match?.[1]);
  if (match === null || name === undefined) {
    throw new WeirError(
      'CONFIG_INVALID',
      `WEIR_FAILPOINTS has '${part}'; write name=kill, name=stop or name=delay:MS, with a name of ${failpointNames.join(', ')}`,
    );
  }
  const action = match[2]?.startsWith('delay') === true ? 'delay' : (match[2] as 'kill' | 'stop');
  return [name, { action, ms: Number(match[3] ?? 0), at: Number(match[4] ?? 1), hits: 0 }];
}
