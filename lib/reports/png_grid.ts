import { encode } from "fast-png";
import { writeFileAtomic } from "../core/files.ts";
import { toBytes } from "../data/quantise.ts";

/** One row of a grid: images drawn with the same seeds as every other row. */
export interface GridRow {
  /** `[images, channels, height, width]`, in [-1, 1]; what lies outside is cut. */
  readonly data: Float32Array;
}

export interface GridOptions {
  /** `[channels, height, width]`; 1 or 3 channels. */
  readonly shape: readonly [number, number, number];
  /** Screen pixels per image pixel. */
  readonly scale?: number;
  /** Screen pixels between images. */
  readonly gutter?: number;
}

const grey = 128;

/**
 * A PNG of images in rows and columns, each pixel enlarged without smoothing,
 * with a thin grey gutter. Rows are what is compared (coupling and NFE), columns
 * are seeds.
 *
 * @throws {TypeError} when the rows do not hold the same number of whole images.
 */
export function renderGrid(rows: readonly GridRow[], { shape, scale = 3, gutter = 2 }: GridOptions): Uint8Array {
  const [channels, height, width] = shape;
  const pixels = channels * height * width;
  const columns = (rows[0]?.data.length ?? 0) / pixels;
  if (columns < 1 || !rows.every((row) => row.data.length === columns * pixels) || !Number.isInteger(columns)) {
    throw new TypeError(`Cannot draw a grid: expected rows of equally many ${shape.join("x")} images`);
  }
  if (channels !== 1 && channels !== 3) {
    throw new TypeError(`Cannot draw images of ${channels} channels: expected 1 or 3`);
  }
  const sheet = {
    width: columns * (width * scale + gutter) - gutter,
    height: rows.length * (height * scale + gutter) - gutter,
  };
  const data = new Uint8Array(sheet.width * sheet.height * channels).fill(grey);
  const images = rows.map((row) => toBytes(row.data));
  rows.forEach((_, r) => {
    for (let column = 0; column < columns; column++) {
      const left = column * (width * scale + gutter), top = r * (height * scale + gutter);
      const image = images[r]!.subarray(column * pixels, (column + 1) * pixels);
      for (let y = 0; y < height * scale; y++) {
        for (let x = 0; x < width * scale; x++) {
          const from = Math.floor(y / scale) * width + Math.floor(x / scale);
          const to = ((top + y) * sheet.width + left + x) * channels;
          for (let c = 0; c < channels; c++) data[to + c] = image[c * height * width + from]!;
        }
      }
    }
  });
  return encode({ ...sheet, data, channels, depth: 8 });
}

/** Writes the grid, whole or not at all. */
export async function writeGrid(path: string, rows: readonly GridRow[], options: GridOptions): Promise<void> {
  await writeFileAtomic(path, renderGrid(rows, options));
}
