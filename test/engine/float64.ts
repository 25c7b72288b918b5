/** A small array language in float64 and plain loops: the oracle that the engines' operations are held to. */
export interface Dense {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** An array of `shape` whose element at `index` is `at(index)`. */
export function build(shape: readonly number[], at: (index: number[]) => number): Dense {
  const data = new Float64Array(shape.reduce((a, b) => a * b, 1));
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]!; axis--) index[axis] = 0;
  }
  return { shape, data };
}

/** The element at `index`; an axis of length 1 serves every index. */
export function get({ shape, data }: Dense, index: readonly number[]): number {
  let flat = 0;
  const skip = index.length - shape.length;
  shape.forEach((length, axis) => flat = flat * length + (length === 1 ? 0 : index[skip + axis]!));
  return data[flat]!;
}

export function map(a: Dense, f: (x: number) => number): Dense {
  return { shape: a.shape, data: a.data.map((x) => f(x)) };
}

/** Element by element, with broadcasting. */
export function zip(a: Dense, b: Dense, f: (x: number, y: number) => number): Dense {
  const rank = Math.max(a.shape.length, b.shape.length);
  const length = (d: Dense, axis: number) => d.shape[axis - rank + d.shape.length] ?? 1;
  const shape = Array.from({ length: rank }, (_, axis) => Math.max(length(a, axis), length(b, axis)));
  return build(shape, (index) => f(get(a, index), get(b, index)));
}

export const add = (a: Dense, b: Dense): Dense => zip(a, b, (x, y) => x + y);
export const sub = (a: Dense, b: Dense): Dense => zip(a, b, (x, y) => x - y);
export const mul = (a: Dense, b: Dense): Dense => zip(a, b, (x, y) => x * y);
export const div = (a: Dense, b: Dense): Dense => zip(a, b, (x, y) => x / y);

/** Folds the elements along `axes` (negative: from the last) by `f`, which gets them all; the axes stay with length 1. */
export function fold(a: Dense, axes: readonly number[], f: (values: number[]) => number): Dense {
  const folded = axes.map((axis) => (axis + a.shape.length) % a.shape.length);
  const shape = a.shape.map((length, axis) => folded.includes(axis) ? 1 : length);
  const within = a.shape.map((length, axis) => folded.includes(axis) ? length : 1);
  return build(shape, (at) => {
    const values: number[] = [];
    build(within, (offset) => values.push(get(a, at.map((i, axis) => i + offset[axis]!))));
    return f(values);
  });
}

export function reshape(a: Dense, shape: readonly number[]): Dense {
  return { shape, data: a.data };
}

/** Without the axes of length 1 among `axes`. */
export function squeeze(a: Dense, axes: readonly number[]): Dense {
  const gone = axes.map((axis) => (axis + a.shape.length) % a.shape.length);
  return reshape(a, a.shape.filter((_, axis) => !gone.includes(axis)));
}

export const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
export const average = (values: number[]): number => total(values) / values.length;

export function softmax(a: Dense): Dense {
  const powers = zip(a, fold(a, [-1], (row) => Math.max(...row)), (x, top) => Math.exp(x - top));
  return div(powers, fold(powers, [-1], total));
}

export function transpose(a: Dense, order: readonly number[]): Dense {
  return build(order.map((axis) => a.shape[axis]!), (index) => {
    const source: number[] = [];
    order.forEach((axis, i) => source[axis] = index[i]!);
    return get(a, source);
  });
}

/** `[..., n, m]` times `[..., m, p]`; leading axes broadcast. */
export function matMul(a: Dense, b: Dense): Dense {
  const lead = (d: Dense) => d.shape.slice(0, -2);
  const leading = zip(build(lead(a), () => 0), build(lead(b), () => 0), () => 0).shape;
  const inner = a.shape.at(-1)!;
  return build([...leading, a.shape.at(-2)!, b.shape.at(-1)!], (index) => {
    const batch = index.slice(0, -2), [row, column] = index.slice(-2) as [number, number];
    let sum = 0;
    for (let k = 0; k < inner; k++) sum += get(a, [...batch, row, k]) * get(b, [...batch, k, column]);
    return sum;
  });
}

/** The last two axes changed over. */
export function swap(a: Dense): Dense {
  const axes = a.shape.map((_, axis) => axis);
  return transpose(a, [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!]);
}

export function concat(parts: readonly Dense[], axis: number): Dense {
  const length = total(parts.map((part) => part.shape[axis]!));
  return build(parts[0]!.shape.map((n, i) => i === axis ? length : n), (index) => {
    let at = index[axis]!;
    const part = parts.find((candidate) => {
      if (at < candidate.shape[axis]!) return true;
      at -= candidate.shape[axis]!;
      return false;
    });
    return get(part!, index.map((i, k) => k === axis ? at : i));
  });
}

export function slice(a: Dense, begin: readonly number[], size: readonly number[]): Dense {
  return build(size, (index) => get(a, index.map((i, axis) => i + begin[axis]!)));
}

/** The error function: its Taylor series, which float64 carries to 1e-13 for |x| below 3. */
export function erf(x: number): number {
  let term = x, sum = x;
  for (let n = 1; n < 120; n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return sum * 2 / Math.sqrt(Math.PI);
}

/** NHWC convolution with an HWIO filter, stride and zero padding alike on both axes. */
export function conv2d(x: Dense, filter: Dense, stride: number, pad: number): Dense {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const [rows, columns, , out] = filter.shape as [number, number, number, number];
  const reach = (length: number, window: number) => Math.floor((length + 2 * pad - window) / stride) + 1;
  return build([batch, reach(height, rows), reach(width, columns), out], ([n, i, j, o]) => {
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        const y = i! * stride + r - pad, z = j! * stride + c - pad;
        if (y < 0 || z < 0 || y >= height || z >= width) continue;
        for (let k = 0; k < channels; k++) sum += get(x, [n!, y, z, k]) * get(filter, [r, c, k, o!]);
      }
    }
    return sum;
  });
}

/** The gradient of `loss` at `inputs`, by central differences: exact to about 1e-9 of the loss. */
export function centralDifferences(loss: (inputs: Dense[]) => number, inputs: readonly Dense[]): Dense[] {
  const step = 1e-5;
  return inputs.map((input, which) => ({
    shape: input.shape,
    data: input.data.map((value, at) => {
      const moved = (to: number) => {
        const data = input.data.slice();
        data[at] = to;
        return loss(inputs.map((other, i) => i === which ? { shape: input.shape, data } : other));
      };
      return (moved(value + step) - moved(value - step)) / (2 * step);
    }),
  }));
}
