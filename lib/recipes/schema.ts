import * as z from "zod";
import { quantiseModes } from "../data/quantise.ts";
import { productTypes } from "../engine/products.ts";
import { conventions, fidWeights, inceptionDefaults, resizeModes } from "../metrics/inception_options.ts";
import { latencyBatches } from "../metrics/latency.ts";
import { autoencoderKinds, couplingKinds, dataKinds, flowKinds, velocityKinds } from "./kinds.ts";
import { metricNames } from "./metric_names.ts";
import { projectPath } from "./paths.ts";

const fraction = z.number().min(0).lt(1);

/** How a model is trained. Quantities are absolute: hardware and memory cannot change a result. */
export const training = z.strictObject({
  samples: z.int().min(1).describe("Samples seen in all; steps = samples / batch, rounded up"),
  batch: z.int().min(1).describe("Samples per optimizer step, on any hardware"),
  microBatches: z.int().min(1).default(1).describe(
    "Pieces a batch is computed in, to save memory; no effect on results",
  ),
  recompute: z.boolean().exactOptional().describe(
    "Compute layers again for their gradients instead of keeping them, to save memory; no effect on results",
  ),
  products: z.enum(productTypes).exactOptional().describe(
    "What factors of matrix products are read in; bfloat16 is faster where the machine has it, and less exact",
  ),
  learningRate: z.number().positive().max(1).describe("Peak rate of AdamW"),
  schedule: z.enum(["constant", "cosine"]).default("constant").describe("Course of the rate after the warm-up"),
  warmupSteps: z.int().min(0).default(0).describe("Steps of linear rise to the peak rate"),
  finalRate: z.number().min(0).default(1e-6).describe("Rate at the first warm-up step and at the end of a cosine"),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.999]).describe("Decay of AdamW's two moments per step"),
  weightDecay: z.number().min(0).default(0).describe("Decoupled weight decay, times the rate"),
  clipNorm: z.number().min(0).default(0).describe("Largest global gradient norm; 0 does not clip"),
  emaDecay: fraction.default(0).describe("Averaging of the parameters per step; 0 does not average"),
  emaWarmup: z.boolean().default(false).describe(
    "Average less at first: decay min(emaDecay, (1 + step) / (10 + step))",
  ),
  labelDropout: z.number().min(0).max(1).default(0.1).describe("Probability p of dropping the label (paper §4)"),
});

/** How an autoencoder is trained: it sees no labels. */
export const autoencoderTraining = training.omit({ labelDropout: true, recompute: true, products: true }).extend({
  klWeight: z.number().min(0).describe("β: weight of the mean KL per latent dimension, beside the mean squared error"),
});

/** The distribution of t in the student's loss. */
const time = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("logitNormal"),
    mean: z.number().describe("Mean of logit(t); the paper's a = -0.2"),
    std: z.number().positive().describe("Standard deviation of logit(t); the paper's b = 1"),
  }),
  z.strictObject({ kind: z.literal("uniform") }),
]);

const sampler = z.strictObject({
  method: z.enum(["euler", "heun"]).describe("ODE solver; Heun's last step is Euler"),
  nfe: z.int().min(1).describe("Velocity evaluations per sample; a guided evaluation counts once"),
  grid: z.enum(["t2", "linear"]).default("t2").describe(
    "Times: t2 is (1 - i/steps)², linear is 1 - i/steps (paper §4)",
  ),
});

const guidanceSearch = z.strictObject({
  low: z.number().describe("Lowest guidance weight w of v_u + w (v_c - v_u); 1 is none"),
  high: z.number().describe("Highest guidance weight"),
  iterations: z.int().min(1).describe("Golden-section steps"),
  samples: z.int().min(2).describe("Samples per probe"),
  seeds: z.enum(["first", "each"]).default("each")
    .describe("Search for each seed, or for the first alone, whose weight the others then take"),
});

const latency = z.strictObject({
  batches: z.array(z.literal(latencyBatches)).min(1).describe("Samples drawn at once"),
  repeats: z.int().min(1).describe("Rounds in which teacher and students run once each; medians are reported"),
  guidanceWeight: z.number().describe("w of the guided figures; it does not change the work"),
});

/** A network trained on the data itself, unless the recipe asks for the one that FID is defined by. */
const features = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("classifier").exactOptional(),
    pretrained: projectPath.describe("Folder of the trained classifier"),
  }),
  z.strictObject({
    kind: z.literal("inception"),
    weights: z.string().min(1).describe(`File of the weights: ${fidWeights.name} of pytorch-fid and torch-fidelity`),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits").exactOptional()
      .describe("Digest of that file, where it is another one, such as a safetensors copy"),
    resize: z.enum(resizeModes).default(inceptionDefaults.resize).describe(
      "To 299 pixels: tf1 as ADM and torch-fidelity, halfPixel as pytorch-fid, pillowBicubic as clean-fid",
    ),
    quantise: z.enum(quantiseModes).default(inceptionDefaults.quantise).describe("How images become grey levels"),
    convention: z.enum(conventions).default(inceptionDefaults.convention).describe(
      "What a grey level u is fed as: torchFidelity (u - 128)/128, pytorchFid u/127.5 - 1",
    ),
    reference: z.string().min(1).exactOptional()
      .describe("Published statistics, a .npz with mu and sigma; those of the training set when absent"),
  }),
]);

/** The parts that a row may change for itself. */
export const rowParts = {
  flips: z.boolean().default(false).describe("Mirror half of the training images left to right"),
  teacher: z.strictObject({
    pretrained: projectPath.describe("Folder of a trained teacher, used unless --teacher train"),
    model: flowKinds.describe("The normalizing flow"),
    noiseStd: z.number().min(0).describe("η of paper §2.2: standard deviation of the noise added to the data"),
    training,
  }).describe("The flow whose encoding is the coupling"),
  student: z.strictObject({
    model: velocityKinds.describe("The velocity model"),
    time: time.describe("Distribution of t"),
    training,
    pairUses: z.int().min(1).exactOptional().describe(
      "Steps that drawn pairs serve, 32 apart, each time with other t, so that a teacher encodes less often; 1 when absent",
    ),
    checkpoints: z.array(z.int().min(1)).min(1).exactOptional().describe(
      "Samples seen at which the moving average is kept; those of the evaluation when absent",
    ),
  }).describe("The flow-matching model"),
};

const metrics = z.array(z.enum(metricNames)).min(1);

/** What a row states of a part: a difference, checked once it is merged. */
const difference = z.record(z.string(), z.unknown());

export const rowSchema = z.strictObject({
  coupling: couplingKinds.describe("How noise and data are paired"),
  flips: z.boolean().optional().describe("Difference from the recipe's flips"),
  teacher: difference.optional().describe("Difference from the recipe's teacher"),
  student: difference.optional().describe("Difference from the recipe's student"),
  metrics: metrics.exactOptional().describe("What to measure of this row, instead of evaluation.metrics"),
});

export const rowName = /^[\p{L}\p{N}](?:[\p{L}\p{N} _.+=,()-]*[\p{L}\p{N})])?$/u;

/** A recipe at one scale, every key in its place. */
export const recipeSchema = z.strictObject({
  experiment: z.string().min(1).describe("Folder under experiments/"),
  scale: z.enum(["quick", "desk", "paper"]).describe("Which of the recipe's scales"),
  title: z.string().min(1).describe("What the table shows"),
  version: z.int().min(1).describe("Raised when the meaning of a figure changes"),
  seeds: z.array(z.int().min(0)).min(1).describe("One training per seed and row"),
  data: dataKinds.describe("The image set"),
  autoencoder: z.strictObject({
    pretrained: projectPath.describe("Folder of the trained autoencoder: autoencoder.safetensors, and its card"),
    model: autoencoderKinds.describe("The autoencoder"),
    scale: z.number().positive().exactOptional()
      .describe("Multiplies the latents; the one on its card, which gives them unit size, when absent"),
    training: autoencoderTraining.exactOptional().describe("How it is made; absent where its weights are published"),
  }).exactOptional().describe("Teacher and student see its latents instead of pixels"),
  flips: rowParts.flips,
  features: features.describe("The feature extractor of the Fréchet distance"),
  teacher: rowParts.teacher,
  student: rowParts.student,
  rows: z.record(z.string().regex(rowName), rowSchema).describe("One line of the table each"),
  evaluation: z.strictObject({
    checkpoints: z.array(z.int().min(1)).min(1).describe("Samples seen by the student at each measurement"),
    samplers: z.array(sampler).min(1).describe("Solvers to draw samples with"),
    guidance: z.array(z.enum(["unguided", "search"])).min(1).describe("unguided: w = 1; search: w by golden section"),
    guidanceSearch: guidanceSearch.describe("The golden-section search of w"),
    samples: z.int().min(2).describe("Samples per measurement"),
    images: z.int().min(2).default(10000)
      .describe("Images of each split, at most, for the teacher's likelihood, its prior mismatch and held-out z"),
    batch: z.int().min(1).describe("Samples drawn at a time; no effect on results"),
    denoiseBatch: z.int().min(1).exactOptional()
      .describe("Samples of the teacher denoised at a time, to save memory; no effect on results"),
    pictures: z.int().min(1).default(8).describe("Images of each class that the metric `samples` draws"),
    metrics: metrics.describe("What to measure, in the order of the report"),
    latency: latency.exactOptional().describe("How the metric `latency` times"),
  }).describe("What is measured and when"),
});
