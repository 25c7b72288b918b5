import { tf } from "../tf.ts";

export type Shape = readonly number[];
/** What a kernel is given, beside its inputs. */
export type Attributes = Readonly<Record<string, unknown>>;

/** What a kernel makes: results of these shapes, without a value. */
export interface Outcome {
  readonly shapes: readonly Shape[];
  /** A type, or the input that has the same; the first when absent. */
  readonly dtype?: tf.DataType | number;
  /** Two for each multiply-add of a product or a convolution. */
  readonly flops?: number;
  /** `shares`: the result is the input under another shape. `inPlace`: it may take an input's place where that is not needed again. */
  readonly memory?: "shares" | "inPlace";
}
export type Kernel = (inputs: readonly Shape[], attributes: Attributes) => Outcome;

const sizeOf = (shape: Shape) => shape.reduce((product, n) => product * n, 1);
const one = (shape: Shape, rest: Omit<Outcome, "shapes"> = {}): Outcome => ({ shapes: [shape], ...rest });

const elementwise: Kernel = (inputs) =>
  one(inputs.reduce((a, b) => tf.broadcast_util.assertAndGetBroadcastShape([...a], [...b])), { memory: "inPlace" });
const comparison: Kernel = (inputs, attributes) => ({ ...elementwise(inputs, attributes), dtype: "bool" });
const sharing = (shapeOf: (input: Shape, attributes: Attributes) => Shape): Kernel => ([x], attributes) =>
  one(shapeOf(x!, attributes), { memory: "shares" });

const reduction: Kernel = ([x], { axis, reductionIndices, keepDims }) => {
  const axes = tf.util.parseAxisParam((axis ?? reductionIndices) as number | number[], [...x!]);
  return one(keepDims ? x!.map((n, i) => axes.includes(i) ? 1 : n) : x!.filter((_, i) => !axes.includes(i)));
};

const product: Kernel = ([a, b], { transposeA, transposeB }) => {
  const [rows, inner] = transposeA ? [a!.at(-1)!, a!.at(-2)!] : [a!.at(-2)!, a!.at(-1)!];
  const columns = transposeB ? b!.at(-2)! : b!.at(-1)!;
  const outer = tf.broadcast_util.assertAndGetBroadcastShape(a!.slice(0, -2), b!.slice(0, -2));
  const shape = [...outer, rows, columns];
  return one(shape, { flops: 2 * sizeOf(shape) * inner });
};

type Four = [number, number, number, number];
type Padding = Parameters<typeof tf.backend_util.computeConv2DInfo>[4];
type Sides = Parameters<typeof tf.backend_util.computeConv2DInfo>[2];

/** Every output and every weight meet once, whichever of the three is the result. */
function convolution(image: Shape, filter: Shape, { strides, dilations, pad }: Attributes) {
  const { outShape } = tf.backend_util.computeConv2DInfo(
    [...image] as Four,
    [...filter] as Four,
    strides as Sides,
    (dilations ?? 1) as Sides,
    pad as Padding,
  );
  return { outShape, flops: 2 * sizeOf(outShape) * sizeOf(filter.slice(0, 3)) };
}

const convolve: Kernel = ([x, filter], attributes) => {
  const { outShape, flops } = convolution(x!, filter!, attributes);
  return one(outShape, { flops });
};

const pool: Kernel = ([x], { filterSize, strides, pad }) =>
  one(
    tf.backend_util.computePool2DInfo([...x!] as Four, filterSize as Sides, strides as Sides, 1, pad as Padding)
      .outShape,
  );

const resize: Kernel = ([x], { size }) => one([x![0]!, ...size as number[], x![3]!], { dtype: "float32" });

const split: Kernel = ([x], { numOrSizeSplits, axis }) => {
  const [at] = tf.util.parseAxisParam(axis as number, [...x!]) as [number];
  const sizes = tf.backend_util.prepareSplitSize({ shape: [...x!] } as tf.Tensor, numOrSizeSplits as number[], at);
  return { shapes: sizes.map((size) => x!.with(at, size)) };
};

const concatenation: Kernel = (inputs, { axis }) => {
  const [at] = tf.util.parseAxisParam(axis as number, [...inputs[0]!]) as [number];
  return one(inputs[0]!.with(at, inputs.reduce((sum, shape) => sum + shape[at]!, 0)));
};

const likeInput = (index: number): Kernel => (inputs) => one(inputs[index]!, { dtype: index });

const named = (names: string, kernel: Kernel) => Object.fromEntries(names.split(" ").map((name) => [name, kernel]));

/**
 * The kernels of tfjs that models and training are made of, as functions of
 * shapes. A model that uses another one needs a line here.
 */
export const kernels: Readonly<Record<string, Kernel>> = {
  ...named("Add AddN Sub Multiply RealDiv Maximum Minimum Pow SquaredDifference Prelu", elementwise),
  ...named("Abs ClipByValue Cos Elu Erf Exp Expm1 LeakyRelu Log Log1p Neg Reciprocal Relu Relu6", elementwise),
  ...named("Rsqrt Sigmoid Sign Sin Softplus Sqrt Square Step Tanh Softmax LogSoftmax Cumsum", elementwise),
  ...named("Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual", comparison),
  ...named("Sum Mean Max Min Prod", reduction),
  ...named("BatchMatMul _FusedMatMul", product),
  ...named("Conv2D FusedConv2D", convolve),
  ...named("AvgPool MaxPool", pool),
  ...named("ResizeBilinear ResizeNearestNeighbor", resize),
  ...named("ZerosLike OnesLike Reverse", likeInput(0)),
  ...named("AvgPoolGrad MaxPoolGrad ResizeBilinearGrad ResizeNearestNeighborGrad", likeInput(1)),
  Identity: sharing((x) => x),
  Reshape: sharing((x, { shape }) => tf.util.inferFromImplicitShape(shape as number[], sizeOf(x))),
  ExpandDims: sharing((x, { dim }) =>
    x.toSpliced((dim as number) < 0 ? x.length + 1 + (dim as number) : dim as number, 0, 1)
  ),
  Cast: ([x], { dtype }) => one(x!, { dtype: dtype as tf.DataType }),
  Fill: (_, { shape, dtype }) => one(shape as number[], { dtype: (dtype ?? "float32") as tf.DataType }),
  Select: ([, x]) => one(x!, { dtype: 1 }),
  OneHot: ([indices], { depth, dtype }) =>
    one([...indices!, depth as number], { dtype: (dtype ?? "int32") as tf.DataType }),
  Transpose: ([x], { perm }) => one((perm as number[]).map((axis) => x![axis]!)),
  Tile: ([x], { reps }) => one(x!.map((n, i) => n * (reps as number[])[i]!)),
  PadV2: ([x], { paddings }) =>
    one(x!.map((n, i) => n + (paddings as number[][])[i]![0]! + (paddings as number[][])[i]![1]!)),
  Slice: ([x], { begin, size }) =>
    one(x!.map((n, i) => (size as number[])[i] === -1 ? n - (begin as number[])[i]! : (size as number[])[i] ?? n)),
  Concat: concatenation,
  SplitV: split,
  Pack: (inputs, { axis }) => one(inputs[0]!.toSpliced(axis as number, 0, inputs.length)),
  Unpack: ([x], { axis }) => ({
    shapes: Array.from({ length: x![axis as number]! }, () => x!.toSpliced(axis as number, 1)),
  }),
  GatherV2: ([x, indices], { axis }) => one(x!.toSpliced(axis as number, 1, ...indices!)),
  Conv2DBackpropInput: ([dy, filter], { inputShape, ...attributes }) =>
    one(inputShape as number[], {
      flops: convolution(inputShape as number[], filter!, attributes).flops * (dy ? 1 : 0),
    }),
  Conv2DBackpropFilter: ([x], { filterShape, ...attributes }) =>
    one(filterShape as number[], { flops: convolution(x!, filterShape as number[], attributes).flops }),
};
