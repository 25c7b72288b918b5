import { type Tensor, tf } from "../engine/mod.ts";

/**
 * Sinusoidal features of a scalar: cos(t·f) then sin(t·f), f from 1 down to 1/10000 geometrically.
 *
 * @param t `[batch]`
 * @returns `[batch, width]`
 */
export function timeFeatures(t: Tensor, width: number): Tensor {
  const half = width / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp(-Math.log(10_000) * i / half));
  const angles = tf.mul(t.reshape([-1, 1]), tf.tensor2d(frequencies, [1, half]));
  return tf.concat([tf.cos(angles), tf.sin(angles)], 1);
}

/**
 * SiT's fixed position embedding `[rows·columns, width]`, row-major: a half for
 * the column ("w goes first") and a half for the row, each sin then cos.
 */
export function gridFeatures(rows: number, columns: number, width: number): Tensor {
  const quarter = width / 4;
  const values = new Float32Array(rows * columns * width);
  for (let token = 0; token < rows * columns; token++) {
    const column = token % columns, row = Math.floor(token / columns);
    for (let i = 0; i < quarter; i++) {
      const frequency = 10_000 ** (-i / quarter), at = token * width + i;
      values[at] = Math.sin(column * frequency);
      values[at + quarter] = Math.cos(column * frequency);
      values[at + 2 * quarter] = Math.sin(row * frequency);
      values[at + 3 * quarter] = Math.cos(row * frequency);
    }
  }
  return tf.tensor2d(values, [rows * columns, width]);
}

/**
 * Labels as rows of a mixing matrix `[batch, classes]`, whose product with a class table looks the labels up
 * (a gather has no gradient on the embedded engine). The dropped label -1 takes the mean of the table.
 */
export function classMixing(labels: Tensor, classes: number): Tensor {
  const share = tf.mul(dropped(labels), 1 / classes);
  return tf.add(oneHot(labels, classes), share);
}

/** As `classMixing`, `[batch, classes + 1]`: the dropped label -1 takes the extra last row of the table. */
export function classMixingWithExtra(labels: Tensor, classes: number): Tensor {
  const known = oneHot(labels, classes);
  return tf.concat([known, dropped(labels)], 1);
}

// Cast afterwards: asked for float32 at once, the embedded engine returns zeros. One class alone is none to TensorFlow.js.
function oneHot(labels: Tensor, classes: number): Tensor {
  const columns = tf.cast(tf.oneHot(labels as ReturnType<typeof tf.tensor1d>, Math.max(2, classes)), "float32");
  return classes === 1 ? tf.slice(columns, [0, 0], [-1, 1]) : columns;
}

function dropped(labels: Tensor): Tensor {
  return tf.cast(tf.less(labels, tf.scalar(0, "int32")), "float32").reshape([-1, 1]);
}
