/** Rows of a query or a tap, whatever their columns. */
import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { cell } from '../format.ts';
import { isNumeric } from '../model/query-chart.ts';
import type { QueryAnswer } from '../wire.ts';
import { Dialog } from './dialog.tsx';
import type { Column } from './data-table.tsx';
import { DataTable } from './data-table.tsx';

type Row = readonly [index: number, values: readonly unknown[]];

export function Rows({ answer, label }: { readonly answer: QueryAnswer; readonly label: string }): JSX.Element {
  const [open, setOpen] = useState<Row | null>(null);
  const rows = useMemo(() => answer.rows.map((values, index): Row => [index, values]), [answer]);
  const columns = useMemo(
    () =>
      answer.columns.map(({ name, type }, at): Column<Row> => ({
        key: `${at}`,
        title: name,
        numeric: isNumeric(type),
        sort: ([, values]) => sortable(values[at]),
        cell: ([, values]) => {
          const value = values[at];
          return value === null || value === undefined ? (
            <span class="soft">null</span>
          ) : (
            <span title={cell(value).slice(0, 400)}>{cell(value).slice(0, 120)}</span>
          );
        },
      })),
    [answer],
  );
  return (
    <>
      <DataTable
        label={label}
        columns={columns}
        rows={rows}
        keyOf={([index]) => String(index)}
        maxHeight={520}
        onOpen={setOpen}
      />
      {open === null ? null : (
        <Dialog title={`Row ${open[0] + 1}`} onClose={() => setOpen(null)} wide>
          <dl class="facts dialog-body">
            {answer.columns.map(({ name, type }, at) => (
              <div key={name}>
                <dt>
                  {name} <span class="soft">{type}</span>
                </dt>
                <dd class="mono">{cell(open[1][at])}</dd>
              </div>
            ))}
          </dl>
        </Dialog>
      )}
    </>
  );
}

function sortable(value: unknown): number | string {
  return typeof value === 'number' ? value : value === null || value === undefined ? '' : cell(value);
}
