/** A lane's transactions in the topics of the embedded process. */
import type { Clock, Rng } from '../../core/clock.ts';
import { GatheredTransactions } from '../../core/gathered-transactions.ts';
import type { Offset } from '../../core/ids.ts';
import { offset } from '../../core/ids.ts';
import type { LogTransactionParts, LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { LogAppend } from '../../core/ports.ts';
import type { EmbeddedConnection } from './client.ts';
import { LONG_CALL_TIMEOUT_MS } from './client.ts';
import { splitBySize } from './append-parts.ts';
import { untilDone } from './retry.ts';

/** Takes the id over: what others still send under it is refused. Throws: FENCED when the permit ends. */
export async function openTransactions(
  connection: EmbeddedConnection,
  plan: LogTransactionPlan,
  parts: LogTransactionParts,
  clock: Clock,
  rng: Rng,
): Promise<LogTransactions> {
  const { id, groups, note, source } = plan;
  const place = `${source.topic}/${source.partition}`;
  const begun = await untilDone(clock, rng, () => {
    parts.permit.check();
    const request = { id, groups: [...groups], place, note };
    return connection.call((client) => client.beginTransactions, request, 'SINK_UNAVAILABLE');
  });
  const writer = new Writer(connection, plan, parts, clock, rng, begun.generation, place);
  return new GatheredTransactions({
    clock,
    position: begun.position < 0 ? null : offset(begun.position),
    commitIntervalMs: plan.commitIntervalMs,
    transact: async (...transaction) => await writer.transact(...transaction),
    trouble: () => ({ retries: writer.retries, blockedBy: writer.blockedBy }),
  });
}

class Writer {
  retries = 0;
  blockedBy: string | null = null;
  readonly #connection: EmbeddedConnection;
  readonly #plan: LogTransactionPlan;
  readonly #parts: LogTransactionParts;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #generation: number;
  readonly #place: string;
  #sequence = 0;

  constructor(
    connection: EmbeddedConnection,
    plan: LogTransactionPlan,
    parts: LogTransactionParts,
    clock: Clock,
    rng: Rng,
    generation: number,
    place: string,
  ) {
    this.#connection = connection;
    this.#plan = plan;
    this.#parts = parts;
    this.#clock = clock;
    this.#rng = rng;
    this.#generation = generation;
    this.#place = place;
  }

  /** Throws: FENCED, SINK_REFUSED, TOPIC_NOT_FOUND. */
  async transact(appends: readonly LogAppend[], to: Offset, check: () => void): Promise<void> {
    const { id, groups, note } = this.#plan;
    const { failpoints } = this.#parts;
    const writer = { id, generation: this.#generation };
    const connection = this.#connection;
    await failpoints.hit('transaction.beforeProduce');
    let first = 0;
    for (const part of splitBySize(appends)) {
      const request = { ...writer, first, appends: part };
      await this.#request(check, () =>
        connection.call((client) => client.stageAppends, request, 'SINK_UNAVAILABLE', LONG_CALL_TIMEOUT_MS),
      );
      first += part.length;
    }
    await failpoints.hit('transaction.afterProduce');
    const sequence = ++this.#sequence;
    const request = { ...writer, sequence, appends: first, group: groups[0], place: this.#place, note, position: to };
    await failpoints.hit('transaction.beforeCommit');
    await this.#request(check, () =>
      connection.call((client) => client.commitTransaction, request, 'SINK_UNAVAILABLE', LONG_CALL_TIMEOUT_MS),
    );
    await failpoints.hit('transaction.afterCommit');
  }

  async #request(check: () => void, send: () => Promise<unknown>): Promise<void> {
    await untilDone(
      this.#clock,
      this.#rng,
      async () => {
        check();
        this.#parts.permit.check();
        await send();
      },
      ({ message }) => {
        this.retries += 1;
        this.blockedBy = message;
      },
    );
    this.blockedBy = null;
  }
}
