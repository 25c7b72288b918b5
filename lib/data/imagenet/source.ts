/** The ways in which ImageNet lies on disks. */
export const layouts = ["folder", "parquet", "webdataset", "npz"] as const;
export type Layout = typeof layouts[number];

/** One split of ImageNet as it was found, before anything is decoded. */
export interface ImageSource {
  readonly layout: Layout;
  /** `[size]`: the class of every image, in 0..999 in the order of sorted WordNet ids. */
  readonly labels: Uint16Array;
  /** Names of the classes in order, where the layout tells them. */
  readonly classNames?: readonly string[];
  /** Where images `begin` to `end` − 1 are, as a worker is told. */
  piece(begin: number, end: number): Piece;
  /** The same for any images in any order; absent where a single image cannot be reached cheaply. */
  pick?(rows: Iterable<number>): Piece;
}

/** Where some images are: plain data, so that it can be sent to a worker. */
export type Piece = FolderPiece | TarPiece | ParquetPiece | NpzPiece;

export interface FolderPiece {
  readonly layout: "folder";
  readonly folder: string;
  /** From `folder`. */
  readonly files: readonly string[];
}

export interface TarPiece {
  readonly layout: "webdataset";
  readonly entries: readonly TarEntry[];
}

/** An image in a tar file. */
export interface TarEntry {
  readonly file: string;
  readonly name: string;
  /** Of its first byte in the file. */
  readonly offset: number;
  readonly size: number;
}

/** Consecutive rows of one file. */
export interface RowRange {
  readonly file: string;
  readonly begin: number;
  readonly end: number;
}

export interface ParquetPiece {
  readonly layout: "parquet";
  readonly ranges: readonly RowRange[];
}

export interface NpzPiece {
  readonly layout: "npz";
  readonly ranges: readonly RowRange[];
  /** Bytes of one image. */
  readonly imageSize: number;
}

/** One image of a piece: its coded bytes, or where the source is prepared already its pixels `[3, size, size]`. */
export interface SourceImage {
  /** For messages: the file, and within a shard the entry or row. */
  readonly name: string;
  /** The WordNet id in its name, which its label must agree with. */
  readonly id?: string | undefined;
  readonly coded?: Uint8Array;
  readonly pixels?: Uint8Array;
  /** Why it could not be read at all. */
  readonly fault?: string;
}

/** The rows `begin` to `end` − 1 of files laid end to end, where `sizes` says how many each has. */
export function rangesOf(
  files: readonly string[],
  sizes: readonly number[],
  begin: number,
  end: number,
): RowRange[] {
  const ranges: RowRange[] = [];
  let start = 0;
  files.forEach((file, i) => {
    const first = Math.max(begin - start, 0), last = Math.min(end - start, sizes[i]!);
    if (first < last) ranges.push({ file, begin: first, end: last });
    start += sizes[i]!;
  });
  return ranges;
}
