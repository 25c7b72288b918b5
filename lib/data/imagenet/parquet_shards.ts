import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { Problem } from "../../core/problem.ts";
import { wordNetId } from "./class_order.ts";
import { type ImageSource, type ParquetPiece, rangesOf, type SourceImage } from "./source.ts";
import { readAt } from "./tar.ts";

/**
 * Parquet shards with columns `image` (a struct of `bytes` and `path`) and
 * `label` (the class as an integer): the form of the Hugging Face hub.
 *
 * @param onProgress told how many shards are indexed
 * @throws {Problem} naming the shard: no Parquet, or without these columns
 */
export async function parquetSource(
  files: readonly string[],
  onProgress: (done: number) => void,
): Promise<ImageSource> {
  const labels: Uint16Array[] = [];
  for (const [i, path] of files.entries()) {
    using shard = await openShard(path);
    labels.push(await labelsOf(shard));
    onProgress(i + 1);
  }
  const sizes = labels.map(({ length }) => length);
  return {
    layout: "parquet",
    labels: Uint16Array.from(labels.flatMap((inFile) => [...inFile])),
    piece: (begin, end) => ({ layout: "parquet", ranges: rangesOf(files, sizes, begin, end) }),
  };
}

/** The rows of a piece, one after the other. */
export async function* readParquet({ ranges }: ParquetPiece): AsyncGenerator<SourceImage> {
  for (const { file: path, begin, end } of ranges) {
    using shard = await openShard(path);
    const { file, metadata } = shard;
    for (const [rowStart, rowEnd] of alongGroups(metadata, begin, end)) {
      const rows = await reading(
        path,
        () => parquetReadObjects({ file, metadata, compressors, utf8: false, columns: ["image"], rowStart, rowEnd }),
      );
      for (const [i, row] of rows.entries()) {
        const { bytes, path: inside } = row.image as { bytes?: unknown; path?: unknown };
        const named = typeof inside === "string" ? { id: wordNetId(inside), inside: ` (${inside})` } : { inside: "" };
        const image = { name: `${path} row ${rowStart + i}${named.inside}`, id: named.id };
        yield bytes instanceof Uint8Array ? { ...image, coded: bytes } : { ...image, fault: "has no image bytes" };
      }
    }
  }
}

interface Shard extends Disposable {
  readonly path: string;
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
}

async function openShard(path: string): Promise<Shard> {
  const handle = await Deno.open(path);
  const byteLength = handle.statSync().size;
  const file = {
    byteLength,
    slice: (start: number, end = byteLength) => readAt(handle, start, end - start).buffer,
  };
  try {
    const metadata = await reading(path, () => parquetMetadataAsync(file));
    const names = new Set(metadata.row_groups[0]?.columns.map(({ meta_data }) => meta_data?.path_in_schema.join(".")));
    for (const column of ["image.bytes", "label"]) {
      if (names.has(column)) continue;
      throw new Problem(
        `Cannot use ${path}: it has no column ${column}, expected image (a struct of bytes and path) and label; it has ` +
          `${[...names].join(", ") || "no rows"}`,
      );
    }
    return { path, file, metadata, [Symbol.dispose]: () => handle.close() };
  } catch (error) {
    handle.close();
    throw error;
  }
}

async function labelsOf({ path, file, metadata }: Shard): Promise<Uint16Array> {
  const rows = await reading(path, () => parquetReadObjects({ file, metadata, compressors, columns: ["label"] }));
  return Uint16Array.from(rows, ({ label }, row) => {
    const number = Number(label);
    if (Number.isInteger(number) && number >= 0 && number < 65536) return number;
    throw new Problem(
      `Cannot use ${path}: row ${row} has the label ${label}; a split without labels (the hub's "test") cannot be used`,
    );
  });
}

/** `begin` to `end` − 1, row group by row group: 100 rows in the shards in circulation, about 12 MB. */
function* alongGroups({ row_groups }: FileMetaData, begin: number, end: number): Generator<[number, number]> {
  let first = 0;
  for (const group of row_groups) {
    const last = first + Number(group.num_rows);
    if (begin < last && end > first) yield [Math.max(begin, first), Math.min(end, last)];
    first = last;
  }
}

async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Problem(`Cannot read ${path} as Parquet: ${reason}; fetch the file again`, { cause });
  }
}
