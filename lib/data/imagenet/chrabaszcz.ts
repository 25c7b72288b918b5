import { Problem } from "../../core/problem.ts";
import { readClassMap } from "./class_order.ts";
import { type Npz, type NpzArray, openNpz } from "./npz.ts";
import { type ImageSource, type NpzPiece, rangesOf, type SourceImage } from "./source.ts";

/**
 * Chrabaszcz et al.'s downsampled ImageNet as published: `train_data_batch_1.npz`
 * to `…_10.npz` and `val_data.npz`, each with `data` [images, 3·size·size], uint8
 * in planes of red, green and blue, and `labels` [images] from 1 on in an order
 * of their own, which `map_clsloc.txt` translates.
 *
 * Their pixels come from an older Pillow, so they differ from ours by a level
 * here and there: the same images, another digest.
 *
 * @param imageSize bytes of one image, 3·size·size
 * @param onProgress told how many files are read: each is read through once, to verify its checksum
 * @throws {Problem} naming the file: damaged, of another size, or labelled outside the map
 */
export async function npzSource(
  files: readonly string[],
  classMap: string,
  imageSize: number,
  onProgress: (done: number) => void,
): Promise<ImageSource> {
  const order = await readClassMap(classMap);
  const labels: Uint16Array[] = [];
  for (const [i, path] of files.entries()) {
    const npz = await openNpz(path);
    try {
      labels.push(Uint16Array.from(await labelsOf(path, npz), (number) => classOf(path, order, number)));
      const data = await openData(path, npz, imageSize, labels.at(-1)!.length);
      await data.finish();
    } finally {
      await npz.close();
    }
    onProgress(i + 1);
  }
  const sizes = labels.map(({ length }) => length);
  return {
    layout: "npz",
    labels: Uint16Array.from(labels.flatMap((inFile) => [...inFile])),
    piece: (begin, end) => ({ layout: "npz", imageSize, ranges: rangesOf(files, sizes, begin, end) }),
  };
}

/** Where the last piece ended: arrays are compressed streams, so going on there spares reading them again. */
let cursor: { path: string; npz: Npz; data: NpzArray; row: number } | undefined;

/** The rows of a piece, one after the other. */
export async function* readNpz({ ranges, imageSize }: NpzPiece): AsyncGenerator<SourceImage> {
  for (const { file, begin, end } of ranges) {
    if (cursor?.path !== file || cursor.row > begin) {
      await closeNpz();
      const npz = await openNpz(file);
      cursor = { path: file, npz, data: await openData(file, npz, imageSize), row: 0 };
    }
    for (; cursor.row < begin; cursor.row++) await cursor.data.read(imageSize);
    for (let row = begin; row < end; row++) {
      const pixels = await cursor.data.read(imageSize);
      cursor.row++;
      yield { name: `${file} row ${row}`, pixels };
    }
  }
}

/** Closes what `readNpz` has left open. */
export async function closeNpz(): Promise<void> {
  const last = cursor;
  cursor = undefined;
  await last?.data.cancel();
  await last?.npz.close();
}

async function openData(path: string, npz: Npz, imageSize: number, count?: number): Promise<NpzArray> {
  const data = await npz.open("data");
  const [rows, width, ...more] = data.shape;
  if (data.type === "|u1" && width === imageSize && more.length === 0 && (count === undefined || rows === count)) {
    return data;
  }
  await data.cancel();
  const side = Math.sqrt(imageSize / 3);
  throw new Problem(
    `Cannot use ${path}: its data is ${data.type} [${data.shape.join(", ")}], expected |u1 [${
      count ?? "images"
    }, ${imageSize}], ` +
      `images of ${side}x${side}`,
  );
}

async function labelsOf(path: string, npz: Npz): Promise<Int32Array> {
  const { shape, type, read, finish } = await npz.open("labels");
  const [, kind, width] = /^[<|]([iu])([1248])$/.exec(type) ?? [];
  if (kind === undefined || shape.length !== 1) {
    throw new Problem(`Cannot use ${path}: its labels are ${type} [${shape.join(", ")}], expected a row of integers`);
  }
  const bytes = await read(shape[0]! * Number(width));
  await finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  // Little-endian, and small: the low two bytes say it all.
  return Int32Array.from({ length: shape[0]! }, (_, i) => {
    const at = i * Number(width);
    return Number(width) === 1 ? view.getUint8(at) : view.getUint16(at, true);
  });
}

function classOf(path: string, order: Uint16Array, number: number): number {
  const label = order[number - 1];
  if (label !== undefined) return label;
  throw new Problem(`Cannot use ${path}: it has the label ${number}, and the class map has 1 to ${order.length}`);
}
