import * as z from "zod";
import { Problem } from "../core/problem.ts";
import { type ProductType, productTypes, tf, withProducts } from "../engine/mod.ts";
import { drawData, imageTensor, labelTensor } from "./data_draw.ts";
import { keep } from "./kept.ts";
import type { NoiseScale } from "./noise_scale.ts";
import { encodePool } from "./pool.ts";
import { fitSigma, placeSigma } from "./sigma.ts";
import { addTeacherNoise } from "./teacher_noise.ts";
import type { Coupling, CouplingInputs, CouplingKind, Teacher } from "./types.ts";
import { fitWhitening, placeWhitening } from "./whitening.ts";

const options = z.strictObject({
  sigma: z.enum(["perDimension", "scalar", "none"]).default("perDimension")
    .describe("σ_f, which divides the teacher's noise: one per dimension as in the paper, one for all, or 1"),
  sigmaSamples: z.int().positive().optional()
    .describe("Images that σ_f or the whitening is measured on, drawn at random; the whole training set when absent"),
  whitening: z.enum(["none", "class"]).default("none")
    .describe("class: whiten the teacher's noise by each class's mean and covariance, instead of dividing by σ_f"),
  draws: z.union([z.literal("fresh"), z.int().positive()]).default("fresh")
    .describe("ε′ of the teacher's input: fresh each time, or so many draws an image, kept for good"),
  pool: z.literal(true).optional()
    .describe("Encode the kept draws of all images before training and hold z in memory, instead of at every step"),
  endpoint: z.enum(["clean", "noised"]).default("clean")
    .describe("The student's data: the clean x as in the paper, or the x + ηε′ that the teacher saw"),
  teacherLabel: z.enum(["datum", "student"]).default("datum")
    .describe("The teacher's label: the datum's own always, or what the student sees, ∅ where it is dropped"),
  products: z.enum(productTypes).optional()
    .describe("What factors of the teacher's matrix products are read in as it encodes, as in training"),
}).check((context) => {
  const { sigma, whitening, teacherLabel, draws, pool } = context.value;
  const refuse = (key: "pool" | "whitening", message: string) =>
    context.issues.push({ code: "custom", path: [key], input: context.value[key], message });
  if (pool && draws === "fresh") refuse("pool", "expected none, or a number of draws beside it, which can be kept");
  if (pool && teacherLabel !== "datum") refuse("pool", "expected none, or teacherLabel: datum beside it");
  if (whitening === "none") return;
  if (sigma !== "none") refuse("whitening", "expected none, or sigma: none beside it, since it takes the place of σ_f");
  if (teacherLabel !== "datum") {
    refuse("whitening", "expected none, or teacherLabel: datum beside it, since ∅ has no covariance");
  }
});
type Options = z.output<typeof options>;

/**
 * The paper's coupling (§3.2): noise z = f(x + ηε′, c) / σ_f from the frozen
 * teacher f, with ε′ drawn afresh each time and the datum's true label c, paired
 * with the clean x. σ_f² = E[f(x + ηε′, c)²] over the training set, one ε′ per
 * image. The other options are ablations.
 *
 * Facts: those of `fitSigma`, or of `fitWhitening`.
 *
 * `build` throws a `Problem` when there is no teacher, and (exit code 70) when
 * its noise is not finite.
 */
export const normalizingFlow: CouplingKind<typeof options> = {
  options,
  usesTeacher: true,
  async build(inputs, options): Promise<Coupling> {
    const { dataset, flips } = inputs;
    if (!inputs.teacher) {
      throw new Problem(
        "The coupling normalizingFlow has no teacher: name a normalizing flow under teacher in the recipe",
      );
    }
    const teacher = options.products ? encodingIn(options.products, inputs.teacher) : inputs.teacher;
    const { facts, scale } = await scaleOf(inputs, teacher, options);
    const noising = { draws: options.draws, std: teacher.noiseStd, kept: inputs.rng.fork("keptNoise") };
    const pool = options.pool && options.draws !== "fresh"
      ? await encodePool(inputs, teacher, options.draws, noising.kept)
      : undefined;
    return {
      facts,
      toNoise: scale.toNoise,
      ...(scale.sigma && { sigma: scale.sigma }),
      async sample(size, rng, dropped) {
        const drawn = await drawData(dataset, size, rng, flips);
        const labels = labelTensor(drawn.batch.labels);
        const noisy = () => imageTensor(addTeacherNoise(drawn, rng, noising), dataset);
        const noise = tf.tidy(() => {
          if (pool) return scale.toNoise(imageTensor(pool.encodingOf(drawn, rng), dataset), labels);
          const seen = options.teacherLabel === "student" && dropped
            ? labelTensor(drawn.batch.labels.map((label, i) => dropped[i] ? -1 : label))
            : labels;
          return scale.toNoise(teacher.flow.encode(noisy(), seen).noise, labels);
        });
        const data = options.endpoint === "noised" ? noisy() : imageTensor(drawn.batch.data, dataset);
        return { noise, data, labels, index: drawn.index };
      },
      dispose: () => scale.dispose(),
    };
  },
};

/** `teacher`, with the matrix products of its encoding in `products`. */
function encodingIn(products: ProductType, { flow, noiseStd }: Teacher): Teacher {
  const encode: Teacher["flow"]["encode"] = (data, labels) => withProducts(products, () => flow.encode(data, labels));
  return { flow: { ...flow, encode }, noiseStd };
}

/** The map from f to z, and the facts about it; fitted, or kept from before. */
async function scaleOf(inputs: CouplingInputs, teacher: Teacher, options: Options): Promise<
  { facts: Coupling["facts"]; scale: NoiseScale }
> {
  const { sigma, whitening, sigmaSamples, products } = options;
  const whiten = whitening === "class";
  const fitted = await keep(
    inputs.cacheDir,
    whiten ? "whitening" : "sigma",
    keyOf(inputs, teacher, { ...(whiten ? { whitening } : { sigma }), sigmaSamples, products }),
    () => whiten ? fitWhitening(inputs, teacher, sigmaSamples) : fitSigma(inputs, teacher, sigma, sigmaSamples),
  );
  return { facts: fitted.facts, scale: whiten ? placeWhitening(fitted, inputs) : placeSigma(fitted, inputs) };
}

/** The folder is keyed by the teacher's recipe already; this tells apart what else the fit depends on. */
function keyOf({ dataset, flips, rng }: CouplingInputs, { noiseStd }: Teacher, options: Partial<Options>) {
  return { version: 1, data: dataset.digest, flips, noiseStd, options, seed: [...rng.bits(4)] };
}
