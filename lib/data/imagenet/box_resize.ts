/**
 * Pillow's box resize of 8-bit images, to the bit: an average over the pixels
 * that fall into each output's box, as two passes of 22-bit fixed-point
 * weights, each rounded to 8 bits. The arithmetic and the order of the passes
 * are those of Pillow 13, which takes the rows first where that saves work;
 * older versions always began with the columns, which moves a level by at most
 * one in tall images.
 */

/** An 8-bit image `[height, width, 3]`. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** For every output position the first input position, how many, and their weights in 1/2^22. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `[outputs, stride]`. */
  readonly values: Int32Array;
  readonly stride: number;
}

const precision = 22;
const half = 1 << (precision - 1);

/**
 * The whole image squashed or stretched to `width` × `height`, whatever its
 * aspect (Chrabaszcz et al. 2017; the paper's §4). A side that has its length
 * already is left as it is.
 */
export function boxResize(image: RgbImage, width: number, height: number): RgbImage {
  const rowsFirst = image.height > height && image.height - height > 2 * (image.width - width);
  const columns = (from: RgbImage) => from.width === width ? from : resizeColumns(from, weightsOf(from.width, width));
  const rows = (from: RgbImage) => from.height === height ? from : resizeRows(from, weightsOf(from.height, height));
  return rowsFirst ? columns(rows(image)) : rows(columns(image));
}

/** Box weights of `length` inputs on `outputs` outputs: below one input a box takes the input under its centre. */
function weightsOf(length: number, outputs: number): Weights {
  const scale = length / outputs, support = Math.max(scale, 1) / 2, inverse = 1 / Math.max(scale, 1);
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(outputs), count = new Int32Array(outputs), values = new Int32Array(outputs * stride);
  for (let i = 0; i < outputs; i++) {
    const centre = (i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const inBox = Array.from({ length: end - begin }, (_, k) => {
      const distance = (k + begin - centre + 0.5) * inverse;
      return distance > -0.5 && distance <= 0.5 ? 1 : 0;
    });
    const total = inBox.reduce<number>((sum, weight) => sum + weight, 0);
    inBox.forEach((weight, k) => values[i * stride + k] = Math.trunc(0.5 + weight / total * 2 ** precision));
    first[i] = begin;
    count[i] = end - begin;
  }
  return { first, count, values, stride };
}

function resizeColumns({ width, height, pixels }: RgbImage, { first, count, values, stride }: Weights): RgbImage {
  const outputs = first.length;
  const out = new Uint8Array(outputs * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < outputs; x++, to += 3) {
      let from = (y * width + first[x]!) * 3, weight = x * stride;
      let red = half, green = half, blue = half;
      for (const end = weight + count[x]!; weight < end; weight++, from += 3) {
        const value = values[weight]!;
        red += Math.imul(pixels[from]!, value);
        green += Math.imul(pixels[from + 1]!, value);
        blue += Math.imul(pixels[from + 2]!, value);
      }
      // Weights sum to 1 within a rounding each: no level can leave 0..255 by more than rounds away.
      out[to] = red >> precision;
      out[to + 1] = green >> precision;
      out[to + 2] = blue >> precision;
    }
  }
  return { width: outputs, height, pixels: out };
}

function resizeRows({ width, pixels }: RgbImage, { first, count, values, stride }: Weights): RgbImage {
  const outputs = first.length, line = width * 3;
  const out = new Uint8Array(outputs * line), sums = new Int32Array(line);
  for (let y = 0; y < outputs; y++) {
    sums.fill(half);
    for (let k = 0; k < count[y]!; k++) {
      const value = values[y * stride + k]!, from = (first[y]! + k) * line;
      for (let i = 0; i < line; i++) sums[i]! += Math.imul(pixels[from + i]!, value);
    }
    for (let i = 0; i < line; i++) out[y * line + i] = sums[i]! >> precision;
  }
  return { width, height: outputs, pixels: out };
}

/** `[height, width, 3]` as `[3, height, width]`, the order in which models take it. */
export function toPlanes({ pixels }: RgbImage): Uint8Array {
  const plane = pixels.length / 3, out = new Uint8Array(pixels.length);
  for (let i = 0; i < plane; i++) {
    for (let k = 0; k < 3; k++) out[k * plane + i] = pixels[3 * i + k]!;
  }
  return out;
}
