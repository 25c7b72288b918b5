import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { interruptible } from "../../lib/data/interruptible.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import type { Dataset } from "../../lib/data/types.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { type Classifier, classify } from "../../lib/metrics/classifier.ts";
import { keepFeatureArtifact, keepsFeatureArtifact, openFeatureArtifact } from "../../lib/metrics/feature_artifact.ts";
import {
  accuracyOf,
  featureTraining,
  type FeatureTrainingRun,
  trainedFeatureNetwork,
  trainFeatureNetwork,
  trainingSteps,
} from "../../lib/metrics/feature_training.ts";
import { extractFeatures } from "../../lib/metrics/features.ts";

const engine = await openEngine("auto");
const ignore = engine.kind !== "native";
const training = featureTraining.parse({ epochs: 3, batchSize: 32 });

/** Noise with one quadrant brighter: four classes that a working network tells apart. */
function quadrants(seed: number, count: number, split: "train" | "test" = "train"): Dataset {
  const rng = createRng(seed);
  const labels = Uint8Array.from(rng.fork("labels").integers(count, 4));
  const pixels = Uint8Array.from(rng.fork("pixels").integers(count * 64, 128));
  for (let p = 0; p < pixels.length; p++) {
    const [row, column] = [p % 64 >> 3, p % 8];
    if ((row >> 2) * 2 + (column >> 2) === labels[p >> 6]) pixels[p]! += 60;
  }
  return createPixelDataset({ name: "quadrants 8x8", split, shape: [1, 8, 8], classes: 4, pixels, labels });
}

/** Trains in a folder of its own, going on after each of `stops`, the steps at which it is stopped. */
async function trained(
  dataset: Dataset,
  recipe: Parameters<typeof trainFeatureNetwork>[1],
  { stops = [], onStep = () => {} }: { stops?: readonly number[]; onStep?: FeatureTrainingRun["onStep"] } = {},
): Promise<Classifier> {
  const folder = await Deno.makeTempDir(), run = { folder, identity: { stage: "test" } };
  try {
    for (const at of stops) {
      const stop = new AbortController();
      const stopAt = ({ step }: { readonly step: number }) => step === at && stop.abort();
      const stopped = trainFeatureNetwork(dataset, recipe, { ...run, signal: stop.signal, onStep: stopAt });
      await assertRejects(() => stopped, Problem, `stopped at step ${at}: run the same command to continue`);
    }
    await trainFeatureNetwork(dataset, recipe, { ...run, onStep });
    return await trainedFeatureNetwork(folder, dataset, recipe.training);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "trainFeatureNetwork lowers the loss, tells unseen images apart and leaves only the network",
  ignore,
  fn: async () => {
    await openEngine("native");
    const before = tf.memory().numTensors, losses: number[] = [];
    const network = await trained(quadrants(1, 640), { seed: 0, training }, {
      onStep: ({ loss }) => losses.push(loss),
    });
    assertEquals(losses.length, trainingSteps(640, training));
    assertEquals([losses.length, tf.memory().numTensors - before], [60, Object.keys(network.parameters).length]);
    assertLess(mean(losses.slice(-10)), mean(losses.slice(0, 10)) / 4);
    const unseen = quadrants(2, 400, "test");
    assertGreater(accuracyOf(unseen, await classify(network, await extractFeatures(network, unseen))), 0.95);
    network.dispose();
  },
});

Deno.test({
  name:
    "trainFeatureNetwork gives the same network for the same seed, however often it is stopped, another for another",
  ignore,
  fn: async () => {
    await openEngine("native");
    const digestOf = async (seed: number, stops: readonly number[] = []) => {
      const recipe = { seed, training: { ...training, epochs: 2 } };
      const network = await trained(quadrants(1, 330), recipe, { stops });
      network.dispose();
      return network.digest;
    };
    const first = await digestOf(0);
    assertEquals(await digestOf(0), first);
    assertEquals(await digestOf(0, [3, 10, 14]), first, "10 steps are an epoch, with images left over");
    assertNotEquals(await digestOf(1), first);
  },
});

Deno.test("trainFeatureNetwork says on the wasm engine what to do instead", async () => {
  await openEngine("wasm");
  const before = tf.memory().numTensors;
  const { message } = await assertRejects(
    () => trainFeatureNetwork(quadrants(1, 64), { seed: 0, training }, { folder: "nowhere", identity: {} }),
    Problem,
  );
  assertEquals(
    message,
    "Cannot train a feature network for quadrants 8x8 on the wasm engine, which has no gradient of convolutions: " +
      "use --engine native, or one of the trained networks under results/features",
  );
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("accuracyOf is the share of rows told right", () => {
  const dataset = quadrants(1, 8);
  assertEquals(accuracyOf(dataset, dataset.labels), 1);
  assertEquals(accuracyOf(dataset, dataset.labels.map((label, i) => i < 2 ? (label + 1) % 4 : label)), 0.75);
});

Deno.test({
  name: "keepFeatureArtifact writes what openFeatureArtifact opens, for the images that it was trained on alone",
  ignore,
  fn: async () => {
    await openEngine("native");
    const folder = await Deno.makeTempDir();
    try {
      const sets = { train: quadrants(1, 640), test: quadrants(2, 400, "test") };
      const recipe = { data: { kind: "quadrants", size: 8 }, seed: 3, training };
      assertEquals(await keepsFeatureArtifact(folder, recipe), false);
      const fresh = await trained(sets.train, recipe);
      const made = await keepFeatureArtifact(folder, recipe, sets, fresh, engine);
      fresh.dispose();
      assertEquals(await keepsFeatureArtifact(folder, recipe), true);
      assertEquals(await keepsFeatureArtifact(folder, { ...recipe, seed: 4 }), false);
      assertGreater(made.testAccuracy, 0.95);
      assert(made.floor.value > 0 && made.floor.sampleCount === 400);
      const { network, card } = await openFeatureArtifact(folder, sets.train);
      assertEquals([card, network.digest], [made, made.networkDigest]);
      const seen = await classify(network, await extractFeatures(network, sets.test));
      assertEquals(accuracyOf(sets.test, seen), made.testAccuracy);
      network.dispose();
      const { message } = await assertRejects(() => openFeatureArtifact(folder, quadrants(9, 640)), Problem);
      assert(message.startsWith(`Cannot measure quadrants 8x8 with ${folder}: its feature network was trained on`));
      await Deno.writeTextFile(`${folder}/card.json`, JSON.stringify({ ...card, networkDigest: "0" }));
      await assertRejects(() => openFeatureArtifact(folder, sets.train), Problem, "card.json describes other weights");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("openFeatureArtifact names a damaged card, and what to do", async () => {
  const folder = await Deno.makeTempDir(), path = `${folder}/card.json`;
  for (const damage of ["", '{"data": "quad', "null", "{}"]) {
    await Deno.writeTextFile(path, damage);
    const refused = assertRejects(() => openFeatureArtifact(folder, quadrants(1, 8)), Problem, `Cannot read ${path}: `);
    assertStringIncludes(
      (await refused).message,
      "; restore it, or train the network again with `deno task features EXPERIMENT`",
    );
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test({
  name: "keepFeatureArtifact stops while it measures, and writes nothing",
  ignore,
  fn: async () => {
    await openEngine("native");
    const folder = await Deno.makeTempDir();
    const sets = { train: quadrants(1, 640), test: quadrants(2, 400, "test") };
    const recipe = { data: { kind: "quadrants", size: 8 }, seed: 3, training: { ...training, epochs: 1 } };
    const network = await trained(sets.train, recipe), before = tf.memory().numTensors;
    const heard = (dataset: Dataset) => interruptible(dataset, AbortSignal.abort(new Problem("stopped")));
    const stoppable = { train: heard(sets.train), test: heard(sets.test) };
    await assertRejects(() => keepFeatureArtifact(folder, recipe, stoppable, network, engine), Problem, "stopped");
    assertEquals([await Array.fromAsync(Deno.readDir(folder)), tf.memory().numTensors - before], [[], 0]);
    network.dispose();
    await Deno.remove(folder);
  },
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
