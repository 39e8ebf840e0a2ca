/** Several files of one format as one, without looking at their rows. */
import { parquetMetadata } from 'hyparquet';
import { ByteWriter } from 'hyparquet-writer';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';

const MAGIC = Buffer.from('PAR1');

/**
 * Parquet files of one schema: the row groups one after the other, with a footer that says where they are now. The files
 * must hold nothing but row groups between the first four bytes and the footer.
 */
export function joinParquet(files: readonly Uint8Array[]): Uint8Array {
  const [only] = files;
  if (files.length === 1 && only !== undefined) return only;
  const pieces: Uint8Array[] = [MAGIC];
  const groups: ReturnType<typeof parquetMetadata>['row_groups'] = [];
  let schema: ReturnType<typeof parquetMetadata>['schema'] = [];
  let rows = 0n;
  let at = MAGIC.byteLength;
  for (const bytes of files) {
    // The reader takes a whole buffer.
    const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const metadata = parquetMetadata(own);
    const footerBytes = new DataView(own).getUint32(own.byteLength - 8, true);
    const body = bytes.subarray(MAGIC.byteLength, bytes.byteLength - 8 - footerBytes);
    const shift = BigInt(at - MAGIC.byteLength);
    for (const group of metadata.row_groups) groups.push(shifted(group, shift));
    schema = metadata.schema;
    rows += metadata.num_rows;
    pieces.push(body);
    at += body.byteLength;
  }
  const footer = new ByteWriter();
  writeMetadata(footer, {
    version: 2,
    created_by: 'weir',
    schema,
    num_rows: rows,
    row_groups: groups,
    metadata_length: 0,
  });
  return Buffer.concat([...pieces, footer.getBytes(), MAGIC]);
}

type RowGroup = ReturnType<typeof parquetMetadata>['row_groups'][number];

function shifted(group: RowGroup, by: bigint): RowGroup {
  return {
    ...group,
    ...(group.file_offset === undefined ? {} : { file_offset: group.file_offset + by }),
    columns: group.columns.map((column) => {
      const { meta_data: data } = column;
      if (data === undefined) return column;
      const { data_page_offset, dictionary_page_offset } = data;
      return {
        ...column,
        file_offset: column.file_offset === 0n ? 0n : column.file_offset + by,
        meta_data: {
          ...data,
          data_page_offset: data_page_offset + by,
          ...(dictionary_page_offset === undefined ? {} : { dictionary_page_offset: dictionary_page_offset + by }),
        },
      };
    }),
  };
}
