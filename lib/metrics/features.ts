import { hashOf } from "../core/hash.ts";
import type { Dataset } from "../data/types.ts";
import { type Tensor, type Tensors, tf, trace } from "../engine/mod.ts";
import { parameterCount, type Parameters, type ParameterSpec, sizeOf } from "../nn/parameters.ts";

/** Width of the penultimate layer: the features that Fréchet distances are measured on. */
export const featureWidth = 64;

/** A small classifier of one dataset, which stands where Inception stands for ImageNet: frozen, its features measure. */
export interface FeatureNetwork {
  /** `[channels, height, width]` of the images it takes. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  readonly parameters: Parameters;
  /** SHA-256 of shape, classes and values: part of every figure measured with it. */
  readonly digest: string;
  dispose(): void;
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
  return { features, logits: dense(parameters, "logits", tf.leakyRelu(features, 0.1)) };
}

function dense(parameters: Parameters, name: string, x: Tensor): Tensor {
  return tf.matMul(x, parameters[`${name}.weight`]!, false, true).add(parameters[`${name}.bias`]!);
}

/**
 * A network with the values of the flat vector `values`, in the order of `featureParameters`.
 *
 * @throws {RangeError} if the number of values is another
 */
export function createFeatureNetwork(
  shape: readonly [number, number, number],
  classes: number,
  values: Float32Array,
): FeatureNetwork {
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
    digest: hashOf({ shape, classes, values: hashOf(bytes) }),
    dispose: () => tf.dispose(Object.values(parameters)),
  };
}

/** Images a pass: one size for all, the last chunk filled up with zeros, so that one recording serves. */
const chunk = 256;
const forward = trace("features", ({ data, ...parameters }: Tensors) => featureForward(parameters, data!));

/**
 * The features of images, and what the classifier takes them for.
 *
 * @param images `[count, channels, height, width]` in [-1, 1], or a dataset of which all rows are taken
 * @returns features `[count, featureWidth]`, row-major, and `[count]` most probable classes
 * @throws {RangeError} if the images are not of the network's shape
 */
export async function extractFeatures(
  network: FeatureNetwork,
  images: Float32Array | Dataset,
): Promise<{ readonly features: Float32Array; readonly predicted: Int32Array }> {
  const imageSize = sizeOf(network.shape);
  const count = countImages(network, images);
  const features = new Float32Array(count * featureWidth), predicted = new Int32Array(count);
  for (let begin = 0; begin < count; begin += chunk) {
    const end = Math.min(begin + chunk, count);
    const rows = new Float32Array(chunk * imageSize);
    rows.set(await readImages(images, begin, end, imageSize));
    const data = tf.tensor(rows, [chunk, ...network.shape], "float32");
    const outputs = forward({ ...network.parameters, data });
    const [values, logits] = await Promise.all([outputs.features!.data(), outputs.logits!.data()]);
    tf.dispose([data, outputs.features!, outputs.logits!]);
    features.set(values.subarray(0, (end - begin) * featureWidth) as Float32Array, begin * featureWidth);
    for (let i = begin; i < end; i++) predicted[i] = largest(logits, (i - begin) * network.classes, network.classes);
  }
  return { features, predicted };
}

function countImages({ shape }: FeatureNetwork, images: Float32Array | Dataset): number {
  if (!(images instanceof Float32Array)) {
    if (images.shape.join() === shape.join()) return images.size;
    throw new RangeError(
      `The network takes images of ${shape.join("x")}, ${images.name} has ${images.shape.join("x")}`,
    );
  }
  if (images.length % sizeOf(shape) === 0) return images.length / sizeOf(shape);
  throw new RangeError(`${images.length} values are no whole number of images of ${shape.join("x")}`);
}

async function readImages(images: Float32Array | Dataset, begin: number, end: number, imageSize: number) {
  if (images instanceof Float32Array) return images.subarray(begin * imageSize, end * imageSize);
  return (await images.gather(Int32Array.from({ length: end - begin }, (_, i) => begin + i))).data;
}

function largest(values: ArrayLike<number>, at: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) if (values[at + k]! > values[at + best]!) best = k;
  return best;
}
