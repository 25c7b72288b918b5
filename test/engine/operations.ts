import { type Tensor, tf } from "../../lib/engine/mod.ts";
import * as f64 from "./float64.ts";
import type { Dense } from "./float64.ts";

/** One input of a case: where its random values lie. Integers make an int32 tensor. */
export interface Input {
  readonly shape: readonly number[];
  readonly low?: number;
  readonly high?: number;
  readonly integer?: boolean;
}

/** One operation as the project calls it, and the same in float64. */
export interface Operation {
  /** tfjs's name of the operation first, then what is particular. */
  readonly name: string;
  readonly inputs: readonly Input[];
  readonly run: (...inputs: Tensor[]) => Tensor;
  readonly reference: (...inputs: Dense[]) => Dense;
  /** Who can differentiate it: the embedded engine lacks some kernels of gradients. Default: both. */
  readonly gradient?: "both" | "native" | "none";
  /** Its kernel reads a value of its inputs, so that it cannot be inside a traced function. */
  readonly untraceable?: true;
}

const wide: Input = { shape: [3, 4], low: -2.5, high: 2.5 };
const positive: Input = { shape: [3, 4], low: 0.2, high: 4 };
const cube: Input = { shape: [2, 3, 4], low: -2, high: 2 };
// deno-lint-ignore no-explicit-any
type Any = any; // tfjs's types of ranks get in the way of a table

function unary(name: string, of: (x: number) => number, input: Input = wide, gradient: Operation["gradient"] = "both") {
  const run = (x: Tensor) => (tf as Any)[name](x) as Tensor;
  return { name, inputs: [input], run, reference: (x: Dense) => f64.map(x, of), gradient };
}

/**
 * Equal shapes, and each side broadcast. Where tfjs does not sum a gradient over broadcast axes it throws, so that
 * `gradient` is "equal": only equal shapes have one.
 */
function binary(
  name: string,
  of: (x: number, y: number) => number,
  { second = {}, gradient = "both" }: { second?: Partial<Input>; gradient?: "both" | "equal" | "none" } = {},
): Operation[] {
  const shapes = [[[3, 4], [3, 4]], [[3, 4], [4]], [[2, 1, 4], [3, 1]], [[], [2, 3]]];
  return shapes.map(([a, b]) => ({
    name: `${name} [${a}] [${b}]`,
    inputs: [{ low: -2, high: 2, shape: a! }, { low: -2, high: 2, ...second, shape: b! }],
    run: (x, y) => (tf as Any)[name](x, y),
    reference: (x, y) => f64.zip(x, y, of),
    gradient: gradient === "equal" ? String(a) === String(b) ? "both" : "none" : gradient,
  }));
}

function reduction(
  name: string,
  of: (values: number[]) => number,
  gradient: Operation["gradient"] = "both",
): Operation[] {
  const axesOf = [[0], [1], [-1], [0, 2], [1, 2], [0, 1, 2]];
  return axesOf.flatMap((axes) =>
    [true, false].map((keep) => ({
      name: `${name} over ${axes}${keep ? ", axes kept" : ""}`,
      inputs: [cube],
      run: (x: Tensor) => (tf as Any)[name](x, axes, keep),
      reference: (x: Dense) => keep ? f64.fold(x, axes, of) : f64.squeeze(f64.fold(x, axes, of), axes),
      gradient,
    }))
  );
}

function products(): Operation[] {
  const shapes = [[[3, 5], [5, 4]], [[2, 3, 5], [2, 5, 4]], [[2, 2, 3, 5], [2, 2, 5, 4]], [[4, 3, 5], [1, 5, 2]]];
  const turned = (shape: number[], turn: boolean) =>
    turn ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
  return shapes.flatMap(([a, b]) =>
    [[false, false], [true, false], [false, true], [true, true]].map(([first, second]) => ({
      name: `matMul [${a}] [${b}]${first ? " first transposed" : ""}${second ? " second transposed" : ""}`,
      inputs: [{ shape: turned(a!, first!) }, { shape: turned(b!, second!) }],
      run: (x: Tensor, y: Tensor) => tf.matMul(x as Any, y as Any, first, second),
      reference: (x: Dense, y: Dense) => f64.matMul(first ? f64.swap(x) : x, second ? f64.swap(y) : y),
      // tfjs does not sum the gradient over a broadcast batch axis: it throws.
      gradient: a![0] !== b![0] && a!.length > 2 ? "none" as const : "both" as const,
    }))
  );
}

const erf = (x: number) => f64.erf(x);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const elementwise: Operation[] = [
  unary("neg", (x) => -x),
  unary("abs", Math.abs),
  unary("square", (x) => x * x),
  unary("exp", Math.exp),
  unary("expm1", Math.expm1),
  unary("log", Math.log, positive),
  unary("log1p", Math.log1p, positive),
  unary("sqrt", Math.sqrt, positive),
  unary("rsqrt", (x) => 1 / Math.sqrt(x), positive),
  unary("reciprocal", (x) => 1 / x, positive),
  unary("sin", Math.sin),
  unary("cos", Math.cos),
  unary("tanh", Math.tanh),
  unary("erf", erf),
  unary("sigmoid", sigmoid),
  unary("softplus", (x) => Math.log1p(Math.exp(x))),
  unary("relu", (x) => Math.max(x, 0)),
  unary("floor", Math.floor, wide, "none"),
  unary("ceil", Math.ceil, wide, "none"),
  unary("sign", Math.sign, wide, "none"),
  unary("isFinite", () => 1, wide, "none"),
  unary("zerosLike", () => 0, wide, "none"),
  unary("onesLike", () => 1, wide, "none"),
  unary("clone", (x) => x),
  {
    name: "leakyRelu",
    inputs: [wide],
    run: (x) => tf.leakyRelu(x, 0.2),
    reference: (x) => f64.map(x, (v) => v < 0 ? 0.2 * v : v),
    gradient: "both",
  },
  {
    name: "clipByValue",
    inputs: [wide],
    run: (x) => tf.clipByValue(x, -1, 0.5),
    reference: (x) => f64.map(x, (v) => Math.min(Math.max(v, -1), 0.5)),
  },
  {
    name: "cast to int32 and back",
    inputs: [{ shape: [9], low: -9, high: 9, integer: true }],
    run: (x) => tf.mul(tf.cast(tf.cast(x, "float32"), "int32"), 2),
    reference: (x) => f64.map(x, (v) => 2 * v),
    gradient: "none",
  },
  ...binary("add", (x, y) => x + y),
  ...binary("sub", (x, y) => x - y),
  ...binary("mul", (x, y) => x * y),
  ...binary("div", (x, y) => x / y, { second: { low: 0.3 } }),
  ...binary("maximum", Math.max, { gradient: "equal" }),
  ...binary("minimum", Math.min, { gradient: "equal" }),
  ...binary("squaredDifference", (x, y) => (x - y) ** 2, { gradient: "equal" }),
  ...binary("less", (x, y) => Number(x < y), { gradient: "none" }),
  ...binary("greaterEqual", (x, y) => Number(x >= y), { gradient: "none" }),
  {
    name: "pow",
    inputs: [positive, { shape: [] }],
    run: (x, y) => tf.pow(x, y),
    reference: (x, y) => f64.zip(x, y, Math.pow),
  },
  {
    name: "equal",
    inputs: [{ shape: [4, 1], low: 0, high: 3, integer: true }, { shape: [5], low: 0, high: 3, integer: true }],
    run: (x, y) => tf.equal(x, y),
    reference: (x, y) => f64.zip(x, y, (a, b) => Number(a === b)),
    gradient: "none",
  },
  {
    name: "where",
    inputs: [{ shape: [3, 4], low: 0, high: 1, integer: true }, wide, wide],
    run: (mask, x, y) => tf.where(tf.cast(mask, "bool"), x, y),
    reference: (mask, x, y) => f64.add(f64.mul(mask, x), f64.mul(f64.map(mask, (m) => 1 - m), y)),
  },
];

const folds: Operation[] = [
  ...reduction("sum", f64.total),
  ...reduction("mean", f64.average),
  ...reduction("max", (values) => Math.max(...values)),
  ...reduction("min", (values) => Math.min(...values)),
  ...reduction("all", () => 1, "none").map((operation) => ({
    ...operation,
    run: (x: Tensor) => operation.run(tf.less(x, 3)),
  })),
  ...reduction("logSumExp", (values) => Math.log(f64.total(values.map(Math.exp)))),
  {
    name: "moments, variance",
    inputs: [cube],
    run: (x) => tf.moments(x, -1, true).variance,
    reference: (x) => f64.fold(x, [-1], (row) => f64.average(row.map((v) => (v - f64.average(row)) ** 2))),
  },
  { name: "softmax", inputs: [cube], run: (x) => tf.softmax(x), reference: f64.softmax },
  {
    name: "logSoftmax",
    inputs: [cube],
    run: (x) => tf.logSoftmax(x),
    reference: (x) => f64.map(f64.softmax(x), Math.log),
  },
  {
    name: "softmax of a masked row",
    inputs: [{ shape: [4, 4], low: -2, high: 2 }],
    run: (x) =>
      tf.softmax(tf.add(x, tf.tensor2d(Array.from({ length: 16 }, (_, i) => i % 4 > i >> 2 ? -1e9 : 0), [4, 4]))),
    reference: (x) => f64.softmax(f64.build([4, 4], ([i, j]) => j! > i! ? -Infinity : f64.get(x, [i!, j!]))),
  },
  {
    name: "argMax",
    inputs: [cube],
    run: (x) => tf.argMax(x, -1),
    reference: (x) => f64.squeeze(f64.fold(x, [-1], (row) => row.indexOf(Math.max(...row))), [-1]),
    gradient: "none",
  },
  {
    name: "cumsum",
    inputs: [wide],
    run: (x) => tf.cumsum(x, 1),
    reference: (x) =>
      f64.build(x.shape, ([i, j]) => f64.total(Array.from({ length: j! + 1 }, (_, k) => f64.get(x, [i!, k])))),
  },
];

const rearrangements: Operation[] = [
  { name: "reshape", inputs: [cube], run: (x) => tf.reshape(x, [4, 6]), reference: (x) => f64.reshape(x, [4, 6]) },
  { name: "expandDims", inputs: [wide], run: (x) => tf.expandDims(x, 1), reference: (x) => f64.reshape(x, [3, 1, 4]) },
  {
    name: "squeeze",
    inputs: [{ shape: [3, 1, 4] }],
    run: (x) => tf.squeeze(x, [1]),
    reference: (x) => f64.squeeze(x, [1]),
  },
  ...[[1, 0, 2], [0, 2, 1], [2, 0, 1]].map((order): Operation => ({
    name: `transpose ${order}`,
    inputs: [cube],
    run: (x) => tf.transpose(x, order),
    reference: (x) => f64.transpose(x, order),
  })),
  {
    name: "transpose of patches, six axes",
    inputs: [{ shape: [2, 1, 2, 2, 2, 2] }],
    run: (x) => tf.transpose(x, [0, 2, 4, 1, 3, 5]),
    reference: (x) => f64.transpose(x, [0, 2, 4, 1, 3, 5]),
  },
  {
    name: "split into equal parts",
    inputs: [{ shape: [2, 3, 6] }],
    run: (x) => {
      const [a, b, c] = tf.split(x as Any, 3, -1) as Tensor[];
      return tf.sub(tf.mul(a!, b!), c!);
    },
    reference: (x) => {
      const [a, b, c] = [0, 2, 4].map((at) => f64.slice(x, [0, 0, at], [2, 3, 2])) as [Dense, Dense, Dense];
      return f64.sub(f64.mul(a, b), c);
    },
  },
  {
    name: "split into named sizes",
    inputs: [{ shape: [5, 2] }],
    run: (x) => (tf.split(x as Any, [2, 3], 0) as Tensor[])[1]!,
    reference: (x) => f64.slice(x, [2, 0], [3, 2]),
  },
  ...[0, 1, 2].map((axis): Operation => ({
    name: `concat along ${axis}`,
    inputs: [cube, cube],
    run: (x, y) => tf.concat([x, y], axis),
    reference: (x, y) => f64.concat([x, y], axis),
  })),
  {
    name: "stack",
    inputs: [wide, wide],
    run: (x, y) => tf.stack([x, y], 1),
    reference: (x, y) => f64.concat([x, y].map((part) => f64.reshape(part, [3, 1, 4])), 1),
  },
  {
    name: "unstack",
    inputs: [wide],
    run: (x) => tf.unstack(x, 0)[2]!,
    reference: (x) => f64.reshape(f64.slice(x, [2, 0], [1, 4]), [4]),
  },
  {
    name: "slice",
    inputs: [cube],
    run: (x) => tf.slice(x, [0, 1, 1], [2, 2, 3]),
    reference: (x) => f64.slice(x, [0, 1, 1], [2, 2, 3]),
  },
  {
    name: "pad with zeros",
    inputs: [cube],
    run: (x) => tf.pad(x as Any, [[0, 0], [1, 0], [0, 2]]),
    reference: (x) => f64.build([2, 4, 6], ([n, i, j]) => i! >= 1 && j! < 4 ? f64.get(x, [n!, i! - 1, j!]) : 0),
  },
  {
    name: "reverse",
    inputs: [cube],
    run: (x) => tf.reverse(x, [1]),
    reference: (x) => f64.build(x.shape, ([n, i, j]) => f64.get(x, [n!, 2 - i!, j!])),
  },
  {
    name: "tile",
    inputs: [wide],
    run: (x) => tf.tile(x, [2, 3]),
    reference: (x) => f64.build([6, 12], ([i, j]) => f64.get(x, [i! % 3, j! % 4])),
  },
  {
    name: "broadcastTo",
    inputs: [{ shape: [3, 1] }],
    run: (x) => tf.broadcastTo(x, [2, 3, 4]),
    reference: (x) => f64.build([2, 3, 4], ([, i]) => f64.get(x, [i!, 0])),
  },
  {
    name: "oneHot, where -1 is no class",
    inputs: [{ shape: [7], low: -1, high: 3, integer: true }],
    run: (x) => tf.oneHot(x as Any, 3),
    reference: (x) => f64.build([7, 3], ([i, j]) => Number(f64.get(x, [i!]) === j)),
    gradient: "none",
  },
  {
    name: "tensorScatterUpdate of one value",
    inputs: [{ shape: [3] }, { shape: [1, 1], low: 0, high: 2, integer: true }, { shape: [1] }],
    run: (x, row, value) => tf.tensorScatterUpdate(x, row as Any, value),
    reference: (x, row, value) => f64.build([3], ([i]) => f64.get(row, [0, 0]) === i ? value.data[0]! : x.data[i!]!),
    gradient: "none", // tfjs has none; it writes to the cache of decoding
  },
  ...(["gather", "gatherND"] as const).map((name): Operation => ({
    name: `${name} of rows`,
    inputs: [wide, { shape: name === "gather" ? [5] : [5, 1], low: 0, high: 2, integer: true }],
    run: (x, rows) => tf[name](x, rows as Any),
    reference: (x, rows) => f64.build([5, 4], ([i, j]) => f64.get(x, [rows.data[i!]!, j!])),
    gradient: "none", // the embedded engine has no UnsortedSegmentSum; models use oneHot and matMul
    ...(name === "gather" && { untraceable: true }),
  })),
];

/** The native engine takes paddings by name alone. */
const convolutions = [[1, "same"], [2, "same"], [1, "valid"], [2, "valid"]].map(([stride, padding]): Operation => ({
  name: `conv2d stride ${stride} ${padding}`,
  inputs: [{ shape: [2, 5, 5, 3] }, { shape: [3, 3, 3, 2] }],
  run: (x, filter) => tf.conv2d(x as Any, filter as Any, stride as number, padding as "same" | "valid"),
  reference: (x, filter) => f64.conv2d(x, filter, stride as number, padding === "same" ? 1 : 0),
  gradient: "native",
}));

const pools: Operation[] = [{
  name: "maxPool 2",
  inputs: [{ shape: [2, 4, 4, 3] }],
  run: (x) => tf.maxPool(x as Any, 2, 2, "valid"),
  reference: (x) =>
    f64.build(
      [2, 2, 2, 3],
      ([n, i, j, c]) => Math.max(...[0, 1, 2, 3].map((k) => f64.get(x, [n!, 2 * i! + (k >> 1), 2 * j! + (k & 1), c!]))),
    ),
  gradient: "native",
}];

/** What the frozen networks need: nobody differentiates these but the frame of zeros. */
const images: Operation[] = [
  {
    name: "pad4d",
    inputs: [{ shape: [1, 2, 3, 2] }],
    run: (x) => tf.pad4d(x as Any, [[0, 0], [1, 1], [1, 1], [0, 0]]),
    reference: (x) =>
      f64.build(
        [1, 4, 5, 2],
        ([n, i, j, c]) => i! < 1 || i! > 2 || j! < 1 || j! > 3 ? 0 : f64.get(x, [n!, i! - 1, j! - 1, c!]),
      ),
  },
  {
    name: "avgPool 3 same", // the frame does not count
    inputs: [{ shape: [1, 4, 3, 2] }],
    run: (x) => tf.avgPool(x as Any, 3, 1, "same"),
    reference: (x) =>
      f64.build([1, 4, 3, 2], ([n, i, j, c]) => {
        const near = (at: number, end: number) => [at - 1, at, at + 1].filter((k) => k >= 0 && k < end);
        return f64.average(near(i!, 4).flatMap((y) => near(j!, 3).map((z) => f64.get(x, [n!, y, z, c!]))));
      }),
    gradient: "none",
  },
  {
    name: "resizeNearestNeighbor, doubled",
    inputs: [{ shape: [1, 2, 3, 2] }],
    run: (x) => tf.image.resizeNearestNeighbor(x as Any, [4, 6]),
    reference: (x) => f64.build([1, 4, 6, 2], ([n, i, j, c]) => f64.get(x, [n!, i! >> 1, j! >> 1, c!])),
    gradient: "none",
  },
  {
    name: "resizeBilinear, doubled, corners not aligned",
    inputs: [{ shape: [1, 2, 2, 1] }],
    run: (x) => tf.image.resizeBilinear(x as Any, [4, 4]),
    reference: (x) =>
      f64.build([1, 4, 4, 1], ([n, i, j, c]) => {
        const at = (y: number, z: number) => f64.get(x, [n!, Math.min(y, 1), Math.min(z, 1), c!]);
        const [y, z, v, w] = [i! >> 1, j! >> 1, i! % 2 / 2, j! % 2 / 2];
        return (1 - v) * ((1 - w) * at(y, z) + w * at(y, z + 1)) + v * ((1 - w) * at(y + 1, z) + w * at(y + 1, z + 1));
      }),
    gradient: "none",
  },
];

/** Every operation that the project asks of an engine. */
export const operations: readonly Operation[] = [
  ...elementwise,
  ...products(),
  ...folds,
  ...rearrangements,
  ...convolutions,
  ...pools,
  ...images,
];
