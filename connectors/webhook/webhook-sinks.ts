/** Web services as places of rows. */
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { RowSink, RowSinkConnector, RowSinkPlan } from '../../core/row-sink.ts';
import { WebhookSink } from './webhook-sink.ts';

export interface WebhookParts {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Fills in references to secrets. Throws: CONFIG_INVALID. */
  readonly secret: (text: string) => string;
  /** Throws: FORBIDDEN for a host that jobs may not go to. */
  readonly requireHost: (host: string) => Promise<void>;
}

export class WebhookSinks implements RowSinkConnector {
  readonly #parts: WebhookParts;

  constructor(parts: WebhookParts) {
    this.#parts = parts;
  }

  describe(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  create(): Promise<void> {
    return Promise.resolve();
  }

  open({ job, format, settings, bury }: RowSinkPlan): Promise<RowSink> {
    const { clock, rng, secret, requireHost } = this.#parts;
    if (format.kind !== 'json')
      throw new WeirError('UNSUPPORTED', `Job ${job}: a webhook takes no rows in the format ${format.kind}.`);
    const headers = JSON.parse(String(settings['headers'] ?? '{}')) as Record<string, string>;
    const { body, onRejected } = settings;
    const sink = new WebhookSink({
      job,
      url: secret(String(settings['url'])),
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, secret(value)])),
      body: body === 'ndjson' || body === 'single' ? body : 'array',
      batchRows: Number(settings['batchRows']),
      timeoutMs: Number(settings['timeoutMs']),
      onRejected: onRejected === 'drop' || onRejected === 'deadLetter' ? onRejected : 'fail',
      ...(bury === undefined ? {} : { bury }),
      requireHost,
      clock,
      rng,
    });
    return Promise.resolve(sink);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
