import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { independent } from "../../lib/couplings/mod.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { createClassifier, featureParameters } from "../../lib/metrics/classifier.ts";
import { featureStatistics } from "../../lib/metrics/features.ts";
import { frechetReference } from "../../lib/metrics/frechet.ts";
import type { NormalizingFlow, VelocityModel } from "../../lib/models/types.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import type { EvaluationRecipe } from "../../lib/recipes/types.ts";
import { evaluateCell } from "../../lib/runs/cell.ts";
import type { StageFigures } from "../../lib/runs/stage_figures.ts";
import { measureTeacher } from "../../lib/runs/teacher_figures.ts";
import type { TeacherInputs } from "../../lib/runs/teacher_inputs.ts";
import type { Workbench } from "../../lib/runs/workbench.ts";
import { memoryDataset } from "../metrics/memory_dataset.ts";

const engine = await openEngine("wasm");
const shape = [1, 8, 8] as const, classes = 3, size = 300, rng = createRng(5);
const labels = Uint8Array.from({ length: size }, (_, i) => i % classes);
const images = createPixelDataset({
  name: "noise",
  split: "train",
  shape,
  classes,
  pixels: Uint8Array.from(rng.fork("pixels").integers(size * 64, 256)),
  labels,
});
const features = createClassifier(shape, classes, initialize(featureParameters(shape, classes), rng.fork("features")));
const reference = frechetReference(await featureStatistics(features, images), { allowFewSamples: true });
const bench: Workbench = {
  engine,
  train: images,
  test: images,
  images: { train: images, test: images },
  toImages: (drawn) => Promise.resolve(drawn),
  comparison: { features, reference },
  featuresName: "random",
};
const evaluation = {
  images: 128,
  samples: 256,
  batch: 64,
  guidanceSearch: { low: 1, high: 4, iterations: 4, samples: 128, seeds: "each" },
} as EvaluationRecipe;
const signal = new AbortController().signal;

/** z = 2x, which decodes to a value that is not finite where the first number of z is above `limit`, or w above 2. */
const flow = (limit: number): NormalizingFlow => ({
  encode: (x) => ({ noise: x.mul(2), logDeterminant: tf.fill([x.shape[0]!], 64 * Math.LN2) }),
  decode: (z, _, guidance) =>
    tf.tidy(() => {
      const broken = z.slice([0, 0, 0, 0], [-1, 1, 1, 1]).greater(guidance && guidance.weight > 2 ? -Infinity : limit);
      return tf.where(broken.tile([1, ...shape]), tf.fill(z.shape, NaN), z.div(2));
    }),
  denoise: (x) => x.clone(),
});

const inputsOf = async (change: Partial<TeacherInputs> = {}): Promise<TeacherInputs> => ({
  bench,
  flow: flow(Infinity),
  noiseStd: 0.1,
  coupling: await independent.build({ dataset: images, rng, flips: false }, {}),
  evaluation,
  label: "teacher",
  signal,
  ...change,
});

Deno.test("a teacher's batches that are not finite are drawn again, and counted", async () => {
  const measure = async (limit: number) =>
    (await measureTeacher(await inputsOf({ flow: flow(limit) }), { metric: "teacherFrechet", guidance: "unguided" }))
      .figures;
  const [whole, mended] = [await measure(Infinity), await measure(2.2)];
  assertEquals(Object.keys(whole), ["frechet"]);
  assertEquals(Object.keys(mended), ["frechet", "redraws"]);
  assertGreater(mended.redraws!.value, 0);
  assertLess(Math.abs(mended.frechet!.value / whole.frechet!.value - 1), 0.5);
  await assertRejects(() => measure(-Infinity), Problem, "is not finite, nor under other noise, 10 times over");
});

const isAway = ({ search, figures }: StageFigures) => {
  assertLess(figures.guidanceWeight!.value, 2.01);
  assert(search!.probes.some(({ value }) => value === null) && search!.probes.some(({ value }) => value !== null));
  for (const { weight, value } of search!.probes) assertEquals(value === null, weight > 2, `w ${weight}`);
};

Deno.test("the search for a teacher's weight moves away from samples that are not finite", async () => {
  isAway(await measureTeacher(await inputsOf(), { metric: "teacherFrechet", guidance: "search" }));
});

Deno.test("the search for a student's weight does too, and a student fails where its own samples are not finite", async () => {
  // 1.7·10³⁸ w is beyond float32 from w = 2 on.
  const student = (scale: number): VelocityModel => ({
    velocity: (x, _, c) => x.mul(0).add(c.toFloat().add(1).minimum(1).mul(scale).reshape([-1, 1, 1, 1])),
  });
  const folder = await Deno.makeTempDir();
  const evaluate = (model: VelocityModel, guidance: "search" | "unguided") =>
    evaluateCell({
      bench,
      model,
      recipe: evaluation,
      cell: {
        checkpoint: 1,
        sampler: { method: "euler", nfe: 1, grid: "linear" },
        guidance,
        plan: { folder } as never,
      },
      label: "student",
      seed: 0,
      folder,
      signal,
    });
  await evaluate(student(1.7e38), "search");
  isAway(JSON.parse(await Deno.readTextFile(join(folder, "figures.json"))));
  await assertRejects(() => evaluate(student(Infinity), "unguided"), Problem, "Sample 0 is not finite: ");
  await assertRejects(() => evaluate(student(Infinity), "search"), Problem, "No guidance weight in [1, 4]");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("bits per dimension are of pixels alone", async () => {
  const measure = async (bench: Workbench) =>
    Object.keys((await measureTeacher(await inputsOf({ bench }), { metric: "likelihood" })).figures);
  const latents = memoryDataset(rng.fork("latents").normal(size * 64), Int32Array.from(labels), shape);
  assertEquals(await measure(bench), ["nll", "nllTest", "bitsPerDim"]);
  assertEquals(await measure({ ...bench, train: latents, test: latents }), ["nll", "nllTest"]);
});
