/** A table that draws only the rows in sight: a thousand jobs cost as much as thirty. */
import type { ComponentChildren, JSX } from 'preact';
import { Component } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  /** Only said, not shown. */
  readonly untitled?: true;
  readonly cell: (row: Row) => ComponentChildren;
  /** Sorts by it; absent = the column cannot be sorted by. */
  readonly sort?: (row: Row) => number | string;
  readonly numeric?: boolean;
  /** Left out on narrow screens: 1 = below 1100 px, 2 = below 720 px. */
  readonly drop?: 1 | 2;
  readonly width?: string;
}

const OVERSCAN = 8;

export function DataTable<Row>({
  label,
  columns,
  rows,
  keyOf,
  rowHeight = 34,
  maxHeight = 560,
  sortBy,
  onOpen,
  selected,
  empty,
}: {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly rowHeight?: number;
  /** px; more rows scroll. */
  readonly maxHeight?: number;
  /** Key of the first order; a leading minus reverses it. */
  readonly sortBy?: string;
  readonly onOpen?: (row: Row) => void;
  readonly selected?: string | null;
  readonly empty?: ComponentChildren;
}): JSX.Element {
  const [order, setOrder] = useState(sortBy ?? '');
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(maxHeight);
  const box = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => sortRows(rows, columns, order), [rows, order, columns]);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (box.current !== null && box.current.scrollTop > sorted.length * rowHeight) box.current.scrollTop = 0;
  }, [sorted.length]);

  const first = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const last = Math.min(sorted.length, Math.ceil((top + height) / rowHeight) + OVERSCAN + OVERSCAN / 2);
  const frame = useRef(0);
  const onScroll = (): void => {
    cancelAnimationFrame(frame.current);
    // Whole steps of half the overscan: between them the rows that are drawn already suffice.
    const step = (OVERSCAN / 2) * rowHeight;
    frame.current = requestAnimationFrame(() => setTop(Math.floor((box.current?.scrollTop ?? 0) / step) * step));
  };
  return (
    <div
      class="table-box"
      ref={box}
      style={{ maxHeight: `${maxHeight}px` }}
      onScroll={onScroll}
      tabIndex={0}
      role="group"
      aria-label={label}
    >
      <table aria-rowcount={sorted.length + 1}>
        <thead>
          <tr>
            {columns.map((column) => {
              const active = order.replace(/^-/, '') === column.key;
              const direction = !active ? undefined : order.startsWith('-') ? 'descending' : 'ascending';
              const classes = `${column.numeric === true ? 'num ' : ''}${dropClass(column.drop)}`;
              return (
                <th
                  key={column.key}
                  scope="col"
                  class={classes}
                  {...(direction === undefined ? {} : { 'aria-sort': direction })}
                  {...(column.width === undefined ? {} : { style: { width: column.width } })}
                >
                  {column.sort === undefined ? (
                    <span class={column.untitled === true ? 'hidden' : ''}>{column.title}</span>
                  ) : (
                    <button type="button" class="sort" onClick={() => setOrder(nextOrder(order, column))}>
                      {column.title}
                      <span aria-hidden="true">
                        {direction === undefined ? '' : direction === 'ascending' ? ' ↑' : ' ↓'}
                      </span>
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {first === 0 ? null : <tr class="spacer" aria-hidden="true" style={{ height: `${first * rowHeight}px` }} />}
          {sorted.slice(first, last).map((row, index) => {
            const key = keyOf(row);
            return (
              <Line
                key={key}
                row={row}
                columns={columns}
                index={first + index}
                height={rowHeight}
                selected={selected === key}
                onOpen={onOpen}
              />
            );
          })}
          {last >= sorted.length ? null : (
            <tr class="spacer" aria-hidden="true" style={{ height: `${(sorted.length - last) * rowHeight}px` }} />
          )}
        </tbody>
      </table>
      {sorted.length === 0 ? empty : null}
    </div>
  );
}

interface LineProps<Row> {
  readonly row: Row;
  readonly columns: readonly Column<Row>[];
  readonly index: number;
  readonly height: number;
  readonly selected: boolean;
  readonly onOpen: ((row: Row) => void) | undefined;
}

/** Drawn again only when its row is another. */
class Line<Row> extends Component<LineProps<Row>> {
  override shouldComponentUpdate(next: LineProps<Row>): boolean {
    const { row, columns, index, selected } = this.props;
    return row !== next.row || columns !== next.columns || index !== next.index || selected !== next.selected;
  }

  override render({ row, columns, index, height, selected, onOpen }: LineProps<Row>): JSX.Element {
    return (
      <tr
        aria-rowindex={index + 2}
        class={`${onOpen === undefined ? '' : 'opens'}${selected ? ' selected' : ''}`}
        style={{ height: `${height}px` }}
        onClick={(event) => {
          const target = event.target as Element;
          if (onOpen !== undefined && target.closest('a, button, input') === null && getSelection()?.toString() === '')
            onOpen(row);
        }}
      >
        {columns.map((column) => (
          <td key={column.key} class={`${column.numeric === true ? 'num ' : ''}${dropClass(column.drop)}`}>
            {column.cell(row)}
          </td>
        ))}
      </tr>
    );
  }
}

function dropClass(drop: 1 | 2 | undefined): string {
  return drop === undefined ? '' : `drop-${drop}`;
}

/** Figures begin with the greatest, names with the first. */
function nextOrder<Row>(order: string, { key, numeric }: Column<Row>): string {
  const opposite = (value: string): string => (value.startsWith('-') ? value.slice(1) : `-${value}`);
  if (order.replace(/^-/, '') === key) return opposite(order);
  return numeric === true ? `-${key}` : key;
}

function sortRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: string): readonly Row[] {
  const down = order.startsWith('-');
  const by = columns.find(({ key }) => key === order.replace(/^-/, ''))?.sort;
  if (by === undefined) return rows;
  const sorted = [...rows].sort((one, other) => {
    const [left, right] = [by(one), by(other)];
    return left < right ? -1 : left > right ? 1 : 0;
  });
  return down ? sorted.reverse() : sorted;
}
