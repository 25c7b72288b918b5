import { hashOf } from "../core/hash.ts";
import { type QuantiseMode, toBytes } from "../data/quantise.ts";
import { type Tensor, type Tensors, tf, trace } from "../engine/mod.ts";
import type { Parameters } from "../nn/parameters.ts";
import type { FeatureNetwork } from "./features.ts";
import { type Chain, inceptionLayout, inceptionSide, inceptionWidth, type Step } from "./inception_layout.ts";
import { inceptionDefaults, type InceptionOptions } from "./inception_options.ts";
import { type InceptionWeights, readInceptionWeights } from "./inception_weights.ts";
import { resizeBicubic, resizeBilinear } from "./resize.ts";

/**
 * The 2048 features of the Inception network that FID is defined by.
 *
 * @param path a weight file, see `readInceptionWeights`
 * @param shape `[channels, height, width]` of the images that it will be given; one channel stands for three equal ones
 * @throws {Problem} as `readInceptionWeights`
 */
export async function openInception(
  path: string,
  shape: readonly [number, number, number],
  options: InceptionOptions = inceptionDefaults,
): Promise<FeatureNetwork> {
  return createInception(await readInceptionWeights(path, options.sha256), shape, options);
}

/**
 * As `openInception`, from weights already read.
 *
 * @throws {RangeError} for images of neither one channel nor three
 */
export function createInception(
  { layers, digest }: InceptionWeights,
  shape: readonly [number, number, number],
  { resize, quantise, convention, batch = 32 }: InceptionOptions,
): FeatureNetwork {
  const [channels, height, width] = shape;
  if (channels !== 1 && channels !== 3) throw new RangeError(`Expected images of 1 or 3 channels, got ${channels}`);
  const parameters = Object.fromEntries(layers.flatMap(({ name, filter, filterShape, bias }) => [
    [`${name}.filter`, tf.tensor(filter, [...filterShape], "float32")],
    [`${name}.bias`, tf.tensor1d(bias)],
  ]));
  const normalised = (levels: Tensor) =>
    convention === "torchFidelity" ? tf.div(tf.sub(levels, 128), 128) : tf.div(tf.sub(levels, 127.5), 127.5);
  const forward = trace("inception", ({ levels, ...parameters }: Tensors) => {
    const resized = resize === "pillowBicubic"
      ? levels!
      : resizeBilinear(tf.transpose(levels!, [0, 2, 3, 1]), inceptionSide, resize);
    return { features: inceptionFeatures(parameters, normalised(resized)) };
  });
  const levelTensor = (levels: Float32Array) =>
    resize === "pillowBicubic"
      ? tf.tensor(resizeBicubic(levels, [3, height, width], inceptionSide), [batch, inceptionSide, inceptionSide, 3])
      : tf.tensor(levels, [batch, 3, height, width]);
  return {
    shape,
    width: inceptionWidth,
    digest: hashOf({ weights: digest, resize, quantise, convention }),
    batch,
    async features(images) {
      const levels = levelTensor(inColour(greyLevels(images, quantise), shape));
      const { features } = forward({ ...parameters, levels });
      try {
        return await features!.data<"float32">();
      } finally {
        tf.dispose([levels, features!]);
      }
    },
    dispose: () => tf.dispose(parameters),
  };
}

/**
 * The network as a pure function.
 *
 * @param parameters for every convolution `<name>.filter` `[height, width, in, out]` and `<name>.bias` `[out]`
 * @param images `[batch, height, width, 3]`, as a convention of `conventions` scales them
 * @returns `[batch, 2048]`: the last step's channels, averaged over positions
 */
export function inceptionFeatures(parameters: Parameters, images: Tensor): Tensor {
  return tf.mean(runChain(parameters, inceptionLayout, images as tf.Tensor4D), [1, 2]);
}

function runChain(parameters: Parameters, steps: Chain, x: tf.Tensor4D): tf.Tensor4D {
  return steps.reduce((x, step) => runStep(parameters, step, x), x);
}

function runStep(parameters: Parameters, step: Step, x: tf.Tensor4D): tf.Tensor4D {
  switch (step.kind) {
    case "convolution":
      return tf.fused.conv2d({
        x,
        filter: parameters[`${step.name}.filter`] as tf.Tensor4D,
        strides: step.stride,
        pad: step.padding,
        bias: parameters[`${step.name}.bias`]!,
        activation: "relu",
      });
    case "maxPool":
      return tf.maxPool(x, 3, step.stride, step.stride === 1 ? "same" : "valid");
    case "meanPool":
      return tf.avgPool(x, 3, 1, "same");
    case "fork":
      return tf.concat(step.branches.map((branch) => runChain(parameters, branch, x)), 3);
  }
}

/** Images in [-1, 1] as grey levels 0..255, whole numbers unless not quantised. */
function greyLevels(images: Float32Array, mode: QuantiseMode | "none"): Float32Array {
  return mode === "none" ? images.map((x) => 127.5 * x + 127.5) : Float32Array.from(toBytes(images, mode));
}

/** Grey images three times over; those in colour as they are. */
function inColour(levels: Float32Array, [channels, height, width]: readonly [number, number, number]): Float32Array {
  if (channels === 3) return levels;
  const size = height * width, out = new Float32Array(3 * levels.length);
  for (let at = 0; at < levels.length; at += size) {
    for (let copy = 0; copy < 3; copy++) out.set(levels.subarray(at, at + size), 3 * at + copy * size);
  }
  return out;
}
