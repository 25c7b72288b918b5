import * as z from "zod";
import { Problem } from "../core/problem.ts";
import type { Rng } from "../core/rng.ts";
import { type Tensor, tf } from "../engine/mod.ts";
import { drawData, imageTensor, labelTensor } from "./data_draw.ts";
import { keep } from "./kept.ts";
import { secondMoments } from "./second_moments.ts";
import type { Coupling, CouplingInputs, CouplingKind, Teacher } from "./types.ts";

const options = z.strictObject({
  sigma: z.enum(["perDimension", "scalar", "none"]).default("perDimension")
    .describe("σ_f, which divides the teacher's noise: one per dimension as in the paper, one for all, or 1"),
  sigmaSamples: z.int().positive().optional()
    .describe("Images that σ_f is measured on, drawn at random; the whole training set when absent, as in the paper"),
});
type Options = z.output<typeof options>;

/**
 * The paper's coupling (§3.2): noise z = f(x + ηε′, c) / σ_f from the frozen
 * teacher f, with ε′ drawn afresh each time and the datum's true label c, paired
 * with the clean x. σ_f² = E[f(x + ηε′, c)²] over the training set, one ε′ per
 * image. Facts: the mean, least and greatest σ_f over dimensions.
 *
 * `build` throws a `Problem` when there is no teacher, and (exit code 70) when
 * its noise is not finite.
 */
export const normalizingFlow: CouplingKind<typeof options> = {
  options,
  usesTeacher: true,
  async build(inputs, options): Promise<Coupling> {
    const { dataset, flips, teacher } = inputs;
    if (!teacher) {
      throw new Problem(
        "The coupling normalizingFlow has no teacher: name a normalizing flow under teacher in the recipe",
      );
    }
    const { vectors, facts } = await keep(inputs.cacheDir, "sigma", keyOf(inputs, teacher, options), async () => {
      const sigma = await sigmaOf(inputs, teacher, options);
      return { vectors: [sigma], facts: factsOf(sigma) };
    });
    const sigma = tf.tensor4d(vectors[0]!, [1, ...dataset.shape]);
    return {
      facts,
      sigma: vectors[0]!,
      async sample(size, rng) {
        const { index, batch } = await drawData(dataset, size, rng, flips);
        const labels = labelTensor(batch.labels);
        const noisy = imageTensor(addNoise(batch.data, teacher.noiseStd, rng.fork("teacherNoise")), dataset);
        const noise = tf.tidy(() => tf.div(teacher.flow.encode(noisy, labels).noise, sigma)) as Tensor;
        noisy.dispose();
        return { noise, data: imageTensor(batch.data, dataset), labels, index };
      },
      dispose: () => sigma.dispose(),
    };
  },
};

async function sigmaOf(inputs: CouplingInputs, teacher: Teacher, options: Options): Promise<Float32Array> {
  const { sigma: kind } = options;
  if (kind === "none") return new Float32Array(inputs.dataset.shape.reduce((a, b) => a * b)).fill(1);
  const moments = await secondMoments(inputs, teacher, options.sigmaSamples);
  const mean = moments.reduce((sum, moment) => sum + moment, 0) / moments.length;
  return Float32Array.from(moments, (moment) => Math.sqrt(kind === "scalar" ? mean : moment));
}

function factsOf(sigma: Float32Array): Record<string, number> {
  return {
    sigmaMean: sigma.reduce((sum, value) => sum + value, 0) / sigma.length,
    sigmaMin: sigma.reduce((least, value) => Math.min(least, value), Infinity),
    sigmaMax: sigma.reduce((most, value) => Math.max(most, value), 0),
  };
}

/** The folder is keyed by the teacher's recipe already; this tells apart what else σ_f depends on. */
function keyOf({ dataset, flips, rng }: CouplingInputs, { noiseStd }: Teacher, options: Options) {
  return { version: 1, data: dataset.digest, flips, noiseStd, options, seed: [...rng.bits(4)] };
}

function addNoise(data: Float32Array, std: number, rng: Rng): Float32Array {
  const noise = rng.normal(data.length);
  return data.map((value, i) => value + std * noise[i]!);
}
