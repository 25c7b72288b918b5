import { hashOf } from "../core/hash.ts";
import { quantise } from "../data/quantise.ts";
import { type Tensor, type Tensors, tf, trace } from "../engine/mod.ts";
import { parameterCount, type Parameters, type ParameterSpec, sizeOf } from "../nn/parameters.ts";
import type { FeatureNetwork } from "./features.ts";

/** Width of the penultimate layer: the features that Fréchet distances are measured on. */
export const featureWidth = 64;

/** A small classifier of one dataset, which stands where Inception stands for ImageNet. */
export interface Classifier extends FeatureNetwork {
  readonly classes: number;
  readonly parameters: Parameters;
}

const widths = [32, 64, 64] as const;

/**
 * The parameters: three 3 × 3 convolutions, a dense layer of `featureWidth`
 * and a dense layer of `classes`, started after He et al. (2015).
 *
 * @throws {RangeError} if the images are too small for three halvings
 */
export function featureParameters(shape: readonly [number, number, number], classes: number): ParameterSpec[] {
  const [channels, height, width] = shape;
  if (Math.min(height, width) < 8) throw new RangeError(`Expected images of 8x8 or more, got ${height}x${width}`);
  const flat = widths[2] * Math.floor(height / 8) * Math.floor(width / 8);
  return [
    ...layer("convolution1", [widths[0], channels, 3, 3], 2),
    ...layer("convolution2", [widths[1], widths[0], 3, 3], 2),
    ...layer("convolution3", [widths[2], widths[1], 3, 3], 2),
    ...layer("features", [featureWidth, flat], 2),
    ...layer("logits", [classes, featureWidth], 1),
  ];
}

/** `gain` / inputs is the variance that keeps the signal's size: 2 before a ReLU, 1 before none. */
function layer(name: string, shape: readonly [number, ...number[]], gain: number): ParameterSpec[] {
  const inputs = sizeOf(shape.slice(1));
  return [
    { name: `${name}.weight`, shape, init: { kind: "normal", std: Math.sqrt(gain / inputs) } },
    { name: `${name}.bias`, shape: [shape[0]], init: { kind: "zeros" } },
  ];
}

/**
 * The network as a pure function. The features are taken before their ReLU:
 * behind it a third of them is zero on every image, and none is near Gaussian.
 *
 * @param data `[batch, channels, height, width]` in [-1, 1]
 * @returns features `[batch, featureWidth]` and logits `[batch, classes]`
 */
export function featureForward(parameters: Parameters, data: Tensor): { features: Tensor; logits: Tensor } {
  let x = tf.transpose(data, [0, 2, 3, 1]) as tf.Tensor4D;
  for (const name of ["convolution1", "convolution2", "convolution3"]) {
    const filter = tf.transpose(parameters[`${name}.weight`]!, [2, 3, 1, 0]) as tf.Tensor4D;
    const response = tf.add<tf.Tensor4D>(tf.conv2d(x, filter, 1, "same"), parameters[`${name}.bias`]!);
    x = tf.maxPool(tf.relu(response), 2, 2, "valid");
  }
  const flat = x.reshape([x.shape[0], -1]);
  const features = dense(parameters, "features", flat);
  return { features, logits: logitsOf(parameters, features) };
}

function logitsOf(parameters: Parameters, features: Tensor): Tensor {
  return dense(parameters, "logits", tf.leakyRelu(features, 0.1));
}

function dense(parameters: Parameters, name: string, x: Tensor): Tensor {
  return tf.matMul(x, parameters[`${name}.weight`]!, false, true).add(parameters[`${name}.bias`]!);
}

/** Images a pass. */
const batch = 256;
const forward = trace("features", ({ data, ...parameters }: Tensors) => {
  return { features: featureForward(parameters, data!).features };
});

/**
 * A network with the values of the flat vector `values`, in the order of `featureParameters`.
 *
 * @throws {RangeError} if the number of values is another
 */
export function createClassifier(
  shape: readonly [number, number, number],
  classes: number,
  values: Float32Array,
): Classifier {
  const specs = featureParameters(shape, classes);
  if (values.length !== parameterCount(specs)) {
    throw new RangeError(`Expected ${parameterCount(specs)} values, got ${values.length}`);
  }
  let at = 0;
  const parameters = Object.fromEntries(specs.map(({ name, shape }) => {
    return [name, tf.tensor(values.slice(at, at += sizeOf(shape)), [...shape], "float32")];
  }));
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return {
    shape,
    classes,
    parameters,
    width: featureWidth,
    batch,
    digest: hashOf({ shape, classes, values: hashOf(bytes) }),
    async features(images) {
      const data = tf.tensor(quantise(images), [batch, ...shape], "float32");
      const { features } = forward({ ...parameters, data });
      try {
        return await features!.data<"float32">();
      } finally {
        tf.dispose([data, features!]);
      }
    },
    dispose: () => tf.dispose(Object.values(parameters)),
  };
}

/**
 * What the network takes images for.
 *
 * @param features of the images, `[count, featureWidth]`
 * @returns the most probable class of each, `[count]`
 */
export async function classify({ parameters, classes }: Classifier, features: Float32Array): Promise<Int32Array> {
  const count = features.length / featureWidth;
  const logits = tf.tidy(() => logitsOf(parameters, tf.tensor(features, [count, featureWidth], "float32")));
  const values = await logits.data();
  logits.dispose();
  return Int32Array.from({ length: count }, (_, i) => largest(values, i * classes, classes));
}

function largest(values: ArrayLike<number>, at: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (values[at + k]! > values[at + best]!) best = k;
  return best;
}
