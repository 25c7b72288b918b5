import { Problem } from "../core/problem.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { dimensionOf } from "./data_draw.ts";
import { encodings } from "./encodings.ts";
import type { Fitted } from "./kept.ts";
import type { NoiseScale } from "./noise_scale.ts";
import type { CouplingInputs, Teacher } from "./types.ts";

/** One per dimension as in the paper, one for all, or 1. */
export type SigmaKind = "perDimension" | "scalar" | "none";

/**
 * σ_f of paper §3.2, `[channels · height · width]`: the root of
 * E[f(x + ηε′, c)²] over `encodings`. Facts: its mean, least and greatest value.
 *
 * @throws {Problem} exit code 70, when the teacher's noise is not finite
 */
export async function fitSigma(
  inputs: CouplingInputs,
  teacher: Teacher,
  kind: SigmaKind,
  samples?: number,
): Promise<Fitted> {
  const sigma = await sigmaOf(inputs, teacher, kind, samples);
  const facts = {
    sigmaMean: sigma.reduce((sum, value) => sum + value, 0) / sigma.length,
    sigmaMin: sigma.reduce((least, value) => Math.min(least, value), Infinity),
    sigmaMax: sigma.reduce((most, value) => Math.max(most, value), 0),
  };
  return { vectors: [sigma], facts };
}

/** z = f / σ_f, from what `fitSigma` gives. */
export function placeSigma({ vectors }: Fitted, { dataset }: CouplingInputs): NoiseScale {
  const sigma = tf.tensor4d(vectors[0]!, [1, ...dataset.shape]);
  return {
    toNoise: (encoded) => tf.div(encoded, sigma) as Tensor,
    sigma: vectors[0]!,
    dispose: () => sigma.dispose(),
  };
}

async function sigmaOf(inputs: CouplingInputs, teacher: Teacher, kind: SigmaKind, samples?: number) {
  if (kind === "none") return new Float32Array(dimensionOf(inputs.dataset.shape)).fill(1);
  const moments = await secondMoments(inputs, teacher, samples);
  const mean = moments.reduce((sum, moment) => sum + moment, 0) / moments.length;
  return Float32Array.from(moments, (moment) => Math.sqrt(kind === "scalar" ? mean : moment));
}

/** E[f(x + ηε′, c)²] per dimension, accumulated in float64. */
async function secondMoments(inputs: CouplingInputs, teacher: Teacher, samples?: number): Promise<Float64Array> {
  const dimension = dimensionOf(inputs.dataset.shape), sums = new Float64Array(dimension);
  let rows = 0;
  for await (
    const { noise } of encodings(inputs, teacher, "measuring the teacher's σ over the training set", samples)
  ) {
    for (let i = 0; i < noise.length; i += dimension) {
      for (let k = 0; k < dimension; k++) sums[k]! += noise[i + k]! ** 2;
    }
    rows += noise.length / dimension;
  }
  if (!sums.every((sum) => Number.isFinite(sum) && sum > 0)) {
    throw new Problem(
      "The teacher's noise is not finite over the training set, so it has no σ: train the teacher again at a lower rate",
      { exitCode: 70 },
    );
  }
  return sums.map((sum) => sum / rows);
}
