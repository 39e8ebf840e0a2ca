/**
 * Pretend tables with a timestamp per cell and Cassandra's rule (core/table/cell.ts). A write is split into requests
 * that may be lost, late, repeated, or applied in part.
 */
import { WeirError } from '../../core/errors.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { QueryResult, TableStore, TableWriter } from '../../core/ports.ts';
import type { RowBlock, RowShape } from '../../core/row-block.ts';
import { ROW_OP_DELETE, readValue, rowTimestamp, rowsOf } from '../../core/row-block.ts';
import type { Cell } from '../../core/table/cell.ts';
import { replaces } from '../../core/table/cell.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { backoffMs } from '../../core/clock.ts';
import type { Clock } from '../../core/clock.ts';
import { isWeirError } from '../../core/errors.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import type { SimRng } from './rng.ts';

export const TABLE_SERVER = 'tables';
const REQUEST_TIMEOUT_MS = 700;

/** One row as a request carries it. Values by column of the shape; undefined = unset. */
export interface RowWrite {
  readonly table: string;
  readonly key: string;
  readonly shape: RowShape;
  readonly values: readonly (Uint8Array | null | undefined)[];
  readonly timestamp: number;
  readonly isDelete: boolean;
}

export interface StoredRow {
  /** By column of the shape; primary key columns have no cells. */
  readonly cells: Map<number, Cell>;
  readonly keyValues: readonly (Uint8Array | null | undefined)[];
  readonly shape: RowShape;
  /** µs of the row's deletion; nothing written before it is visible. */
  deletedAt: number;
}

export interface TableWatcher {
  /** A process sends these rows now. */
  sent(node: SimNode, rows: readonly RowWrite[]): void;
  /** A row was written to; it may look as before. */
  applied(write: RowWrite, row: StoredRow): void;
}

/** How the server behaves: `arrivalWins` stamps rows with the time they arrive, the mistake to be found. */
export interface TableBehaviour {
  readonly arrivalWins: boolean;
}

export class SimTableServer {
  readonly #tables = new Map<string, Map<string, StoredRow>>();
  readonly #behaviour: TableBehaviour;
  watcher: TableWatcher | null = null;
  /** Rows of tables that jobs read, by `keyspace.table`. */
  readonly contents = new Map<string, QueryResult>();
  #arrivals = 0;

  constructor(behaviour: TableBehaviour) {
    this.#behaviour = behaviour;
  }

  rows(table: string): ReadonlyMap<string, StoredRow> {
    return this.#tables.get(table) ?? new Map<string, StoredRow>();
  }

  apply(write: RowWrite): void {
    const timestamp = this.#behaviour.arrivalWins ? ++this.#arrivals : write.timestamp;
    const rows = this.#tables.get(write.table) ?? new Map<string, StoredRow>();
    this.#tables.set(write.table, rows);
    const row = rows.get(write.key) ?? emptyRow(write);
    rows.set(write.key, row);
    if (write.isDelete) row.deletedAt = Math.max(row.deletedAt, timestamp);
    else {
      for (const [column, value] of write.values.entries()) {
        if (column < write.shape.primaryKeyCount || value === undefined) continue;
        const cell: Cell = { timestamp, value };
        if (replaces(cell, row.cells.get(column))) row.cells.set(column, cell);
      }
    }
    this.watcher?.applied(write, row);
  }
}

function emptyRow(write: RowWrite): StoredRow {
  return {
    cells: new Map(),
    keyValues: write.values.slice(0, write.shape.primaryKeyCount),
    shape: write.shape,
    deletedAt: Number.NEGATIVE_INFINITY,
  };
}

/** The value of a column, by name; null when there is none. */
function cellOf(row: StoredRow, name: string): Uint8Array | null {
  const column = row.shape.columns.findIndex((candidate) => candidate.name === name);
  if (column < 0) throw new Error(`no column ${name}`);
  if (column < row.shape.primaryKeyCount) return row.keyValues[column] ?? null;
  const cell = row.cells.get(column);
  return cell === undefined || cell.timestamp <= row.deletedAt ? null : cell.value;
}

const textDecoder = new TextDecoder();

export function textOf(row: StoredRow, name: string): string | null {
  const value = cellOf(row, name);
  return value === null ? null : textDecoder.decode(value);
}

/** Big-endian int or bigint. */
export function numberOf(row: StoredRow, name: string): number {
  const value = cellOf(row, name);
  return value === null ? Number.NaN : decodeInteger(value);
}

export function decodeInteger(value: Uint8Array): number {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return value.byteLength === 4 ? view.getInt32(0) : view.getInt32(0) * 4294967296 + view.getUint32(4);
}

/** True when the row can be seen: some cell is there. */
export function isLive(row: StoredRow): boolean {
  for (const cell of row.cells.values()) if (cell.value !== null && cell.timestamp > row.deletedAt) return true;
  return false;
}

/** The writer may break the rules on purpose, for mutations. */
export interface WriterBehaviour {
  /** Says "acknowledged" at once. */
  readonly ackWithoutWaiting: boolean;
  /** Sends whether the permit is valid or not. */
  readonly ignorePermit: boolean;
}

/** One process's client. */
export class SimTableStore implements TableStore {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #server: SimTableServer;
  readonly #node: SimNode;
  readonly #behaviour: WriterBehaviour;

  constructor(sim: Simulation, network: SimNetwork, server: SimTableServer, node: SimNode, behaviour: WriterBehaviour) {
    this.#sim = sim;
    this.#network = network;
    this.#server = server;
    this.#node = node;
    this.#behaviour = behaviour;
  }

  describe(): Promise<TableSchema | undefined> {
    return Promise.resolve(undefined);
  }

  create(): Promise<void> {
    return Promise.resolve();
  }

  open(shape: RowShape): Promise<TableWriter> {
    return Promise.resolve(
      new SimTableWriter(this.#sim, this.#network, this.#server, this.#node, shape, this.#behaviour),
    );
  }

  /** All rows of a table. */
  query(cql: string): Promise<QueryResult> {
    const table = / FROM (\S+)$/.exec(cql)?.[1] ?? '';
    const unavailable = (): WeirError => new WeirError('SINK_UNAVAILABLE', 'the simulated tables do not answer');
    const options = {
      client: this.#node,
      server: TABLE_SERVER,
      timeoutMs: REQUEST_TIMEOUT_MS,
      write: false,
      unavailable,
    };
    return this.#network.request(options, () => {
      const content = this.#server.contents.get(table);
      if (content === undefined) throw new WeirError('UNSUPPORTED', `there is nothing to read in ${table}`);
      return content;
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class SimTableWriter implements TableWriter {
  readonly #network: SimNetwork;
  readonly #server: SimTableServer;
  readonly #node: SimNode;
  readonly #clock: Clock;
  readonly #rng: SimRng;
  readonly #shape: RowShape;
  readonly #behaviour: WriterBehaviour;
  #inFlight = 0;
  #retries = 0;

  constructor(
    sim: Simulation,
    network: SimNetwork,
    server: SimTableServer,
    node: SimNode,
    shape: RowShape,
    behaviour: WriterBehaviour,
  ) {
    this.#network = network;
    this.#server = server;
    this.#node = node;
    this.#clock = sim.clock(node);
    this.#rng = sim.rng.fork(`writer ${node.name} ${shape.table} ${sim.now}`);
    this.#shape = shape;
    this.#behaviour = behaviour;
  }

  async write(block: RowBlock, permit: WritePermit): Promise<void> {
    const rows = decodeRows(block, this.#shape);
    const sends: Promise<void>[] = [];
    for (let at = 0; at < rows.length;) {
      const next = at + this.#rng.int(1, 9);
      sends.push(this.#send(rows.slice(at, next), permit));
      at = next;
    }
    const all = Promise.all(sends);
    if (this.#behaviour.ackWithoutWaiting) all.catch(() => undefined);
    else await all;
  }

  /** Repeats until acknowledged, or until the permit is gone. */
  async #send(rows: readonly RowWrite[], permit: WritePermit): Promise<void> {
    this.#inFlight++;
    try {
      for (let attempt = 0; ; attempt++) {
        if (!this.#behaviour.ignorePermit) permit.check();
        this.#server.watcher?.sent(this.#node, rows);
        try {
          return await this.#request(rows);
        } catch (error) {
          if (!isWeirError(error, 'SINK_UNAVAILABLE')) throw error;
          this.#retries++;
          await this.#clock.sleep(backoffMs(this.#rng, attempt, 20, 500));
        }
      }
    } finally {
      this.#inFlight--;
    }
  }

  /** An unlogged batch: when it fails, some of its rows may have been applied. */
  async #request(rows: readonly RowWrite[]): Promise<void> {
    const unavailable = (): WeirError => new WeirError('SINK_UNAVAILABLE', 'the simulated tables do not answer');
    const options = {
      client: this.#node,
      server: TABLE_SERVER,
      timeoutMs: REQUEST_TIMEOUT_MS,
      write: true,
      unavailable,
    };
    const partial = this.#rng.chance(this.#network.faults.requestLost) ? this.#rng.int(0, rows.length) : null;
    const done = await this.#network.request(options, () => {
      for (const row of partial === null ? rows : rows.slice(0, partial)) this.#server.apply(row);
      return partial === null;
    });
    if (!done) throw unavailable();
  }

  stats(): ReturnType<TableWriter['stats']> {
    return { inFlight: this.#inFlight, retries: this.#retries, blockedBy: null };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Rows of a block as requests carry them. */
export function decodeRows(block: RowBlock, shape: RowShape): RowWrite[] {
  const rows: RowWrite[] = [];
  for (const view of rowsOf(block)) {
    const isDelete = view.op === ROW_OP_DELETE;
    const count = isDelete ? shape.primaryKeyCount : shape.columns.length;
    const values: (Uint8Array | null | undefined)[] = [];
    let at = view.bodyStart;
    for (let column = 0; column < count; column++) {
      const { value, next } = readValue(block.bytes, at);
      values.push(value === null || value === undefined ? value : value.slice());
      at = next;
    }
    if (at + 12 !== view.bodyEnd) throw new Error(`a row of ${shape.table} does not end with its timestamp`);
    const key = values.slice(0, shape.primaryKeyCount).map(keyPart).join('|');
    rows.push({
      table: `${shape.keyspace}.${shape.table}`,
      key,
      shape,
      values,
      timestamp: rowTimestamp(block.bytes, view),
      isDelete,
    });
  }
  return rows;
}

function keyPart(value: Uint8Array | null | undefined): string {
  return value === null || value === undefined ? 'null' : Buffer.from(value).toString('hex');
}
