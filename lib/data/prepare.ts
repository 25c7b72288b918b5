/**
 * Square grey images made smaller without an interpolation kernel: zero
 * padding, then the mean of each box. Pixels are uint8 throughout, so that a
 * prepared set is exact on every machine.
 */

/**
 * Images of side `side` framed with zeros to side `padded`, centred (an odd difference puts the extra line last).
 *
 * @param images `[count, side, side]`
 * @returns `[count, padded, padded]`
 */
export function padImages(images: Uint8Array, side: number, padded: number): Uint8Array {
  const count = images.length / (side * side);
  const margin = Math.floor((padded - side) / 2);
  const out = new Uint8Array(count * padded * padded);
  for (let i = 0; i < count; i++) {
    for (let y = 0; y < side; y++) {
      const from = (i * side + y) * side;
      out.set(images.subarray(from, from + side), (i * padded + margin + y) * padded + margin);
    }
  }
  return out;
}

/**
 * The mean of each `factor` × `factor` box, rounded half up, in one rounding whatever the factor.
 *
 * @param images `[count, side, side]`, `side` a multiple of `factor`
 * @returns `[count, side / factor, side / factor]`
 */
export function boxAverage(images: Uint8Array, side: number, factor: number): Uint8Array {
  if (side % factor !== 0) throw new RangeError(`Cannot box-average side ${side} by ${factor}: expected a multiple`);
  const small = side / factor, area = factor * factor, rows = images.length / (side * factor);
  const out = new Uint8Array(rows * small);
  // Boxes never cross images, as `factor` divides `side`: the images can be walked as one tall stack of rows.
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < small; column++) {
      const corner = row * factor * side + column * factor;
      let sum = 0;
      for (let y = 0; y < factor; y++) {
        for (let x = 0; x < factor; x++) sum += images[corner + y * side + x]!;
      }
      out[row * small + column] = Math.floor((sum + area / 2) / area);
    }
  }
  return out;
}

/** The sides that 28 × 28 images can be prepared at. */
export const preparedSizes = [8, 16, 28, 32] as const;

/**
 * 28 × 28 images at side `size`: 28 leaves them as published; 32 pads them;
 * 16 and 8 pad to 32 and average boxes of 2 and 4.
 *
 * @param images `[count, 28, 28]`
 * @returns `[count, size, size]`
 */
export function prepareImages(images: Uint8Array, size: typeof preparedSizes[number]): Uint8Array {
  return size === 28 ? images : boxAverage(padImages(images, 28, 32), 32, 32 / size);
}
