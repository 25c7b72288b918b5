import { Problem } from "../core/problem.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { causalMask } from "../nn/attention.ts";
import { classMixing } from "../nn/embeddings.ts";
import type { Parameters } from "../nn/parameters.ts";
import { type ImageShape, patchify, unpatchify } from "../nn/patches.ts";
import type { FlowDefinition } from "./types.ts";
import { type BlockSizes, blockSpecs, condition, parametersOfBlock } from "./tarflow_block.ts";
import { blockInverse, stepGuidance } from "./tarflow_decode.ts";

/** A TarFlow, in the paper's notation TF-blocks×layers-width/patch. */
export interface TarflowOptions {
  /** Side of a square patch, in pixels. */
  readonly patch: number;
  readonly width: number;
  /** Width of one attention head; divides `width`. */
  readonly headWidth: number;
  /** Attention layers of each block, from data to noise; odd blocks read the tokens from the end. */
  readonly blocks: readonly number[];
  /** Compute each layer again for its gradient instead of keeping what it computed: the same numbers for less memory. */
  readonly recompute?: boolean;
}

/**
 * The teacher (paper §2.2): an autoregressive affine flow over image patches
 * (TarFlow, arXiv 2412.06329), with unequal block depths. Parameter names and
 * layouts are the reference's.
 *
 * @param shape `[channels, height, width]`
 * @param classes 0 for a flow without labels
 * @throws {Problem} if the options do not fit together or do not fit the shape
 */
export function tarflow(options: TarflowOptions, shape: ImageShape, classes: number): FlowDefinition {
  const sizes = checkedSizes(options, shape, classes);
  const { patch, blocks } = options;
  const inverse = blockInverse(sizes);
  const mixingOf = (labels: Tensor) => classes > 0 ? classMixing(labels, classes) : undefined;
  const encode = (params: Parameters, data: Tensor, labels: Tensor) => {
    const { tokens, logDeterminant } = encodeTokens(params, patchify(data, patch), mixingOf(labels), blocks, sizes);
    return { noise: unpatchify(tokens, patch, shape), logDeterminant };
  };
  return {
    specs: blocks.flatMap((layers, i) =>
      blockSpecs(sizes, layers).map((spec) => ({ ...spec, name: `blocks.${i}.${spec.name}` }))
    ),
    encode,
    denoise: (params, noisy, labels, noiseStd) => {
      // Tweedie: E[clean | noisy] = noisy + σ²∇log p(noisy), log p up to a constant.
      const logDensity = (x: Tensor) => {
        const { noise, logDeterminant } = encode(params, x, labels);
        return tf.sub(tf.sum(logDeterminant), tf.mul(tf.sum(tf.square(noise)), 0.5)) as ReturnType<typeof tf.scalar>;
      };
      return tf.add(noisy, tf.mul(tf.square(noiseStd), tf.grad(logDensity)(noisy)));
    },
    decode: (params, noise, labels, guidance) => {
      const guide = guidance && guidance.weight !== 1 ? guidance : undefined;
      const mixing = tf.tidy(() => mixingOf(labels));
      const guided = guide && stepGuidance(guide, sizes);
      let tokens: Tensor = tf.tidy(() => patchify(noise, patch));
      for (let i = blocks.length - 1; i >= 0; i--) {
        const inverted = { z: tokens, ...(mixing && { mixing }), ...(guided && { guidance: guided }) };
        const x = inverse(parametersOfBlock(params, i), inverted, i % 2 === 1);
        tokens.dispose();
        tokens = x;
      }
      const data = tf.tidy(() => unpatchify(tokens, patch, shape));
      tf.dispose([tokens, ...Object.values(guided ?? {}), ...(mixing ? [mixing] : [])]);
      return data;
    },
  };
}

/** All blocks in turn. The log-determinant of a block is minus the sum of its log-scales. */
function encodeTokens(
  params: Parameters,
  tokens: Tensor,
  mixing: Tensor | undefined,
  blocks: readonly number[],
  sizes: BlockSizes,
): { tokens: Tensor; logDeterminant: Tensor } {
  const masks = [false, true].slice(0, blocks.length).map((backward) => causalMask(sizes.tokens, backward));
  let x = tokens;
  let logScales: Tensor | undefined;
  for (let i = 0; i < blocks.length; i++) {
    const { logScale, shift } = condition(parametersOfBlock(params, i), x, mixing, masks[i % 2]!, i % 2 === 1, sizes);
    x = tf.mul(tf.sub(x, shift), tf.exp(tf.neg(logScale)));
    logScales = logScales ? tf.add(logScales, logScale) : logScale;
  }
  return { tokens: x, logDeterminant: tf.neg(tf.sum(logScales!, [1, 2])) };
}

function checkedSizes(options: TarflowOptions, [channels, height, columns]: ImageShape, classes: number): BlockSizes {
  const { patch, width, headWidth, blocks, recompute = false } = options;
  const whole = (name: string, value: number, least: number) => {
    if (Number.isSafeInteger(value) && value >= least) return;
    throw new Problem(
      `tarflow: ${name} is ${value}, but a whole number of at least ${least} was expected; correct it in the recipe`,
    );
  };
  whole("patch", patch, 1);
  whole("width", width, 1);
  whole("headWidth", headWidth, 1);
  whole("the number of classes", classes, 0);
  if (blocks.length === 0) {
    throw new Problem(
      "tarflow: blocks is empty, but a list of layers per block was expected, for example [2, 2]; correct it in the recipe",
    );
  }
  blocks.forEach((layers, i) => whole(`blocks[${i}]`, layers, 1));
  if (height % patch !== 0 || columns % patch !== 0) {
    throw new Problem(
      `tarflow: patch ${patch} does not divide images of ${height}×${columns}; choose a patch that divides both sides`,
    );
  }
  if (width % headWidth !== 0) {
    throw new Problem(`tarflow: headWidth ${headWidth} does not divide width ${width}; choose a head width that does`);
  }
  const tokens = (height / patch) * (columns / patch);
  if (tokens < 2) {
    throw new Problem(
      `tarflow: patch ${patch} covers the whole image, so no token has another before it; choose a smaller one`,
    );
  }
  return { tokens, tokenWidth: channels * patch * patch, width, headWidth, classes, recompute };
}
