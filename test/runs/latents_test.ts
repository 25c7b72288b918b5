import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { join } from "node:path";
import { hashOf } from "../../lib/core/hash.ts";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import type { Dataset } from "../../lib/data/types.ts";
import { tf } from "../../lib/engine/mod.ts";
import { createClassifier, featureParameters } from "../../lib/metrics/classifier.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { bindAutoencoder } from "../../lib/models/bind.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import { autoencoderTraining } from "../../lib/recipes/schema.ts";
import type { AutoencoderRecipe, DataRecipe } from "../../lib/recipes/types.ts";
import {
  type AutoencoderCard,
  findAutoencoder,
  keepsAutoencoder,
  type TrainedAutoencoder,
  trainedWeights,
} from "../../lib/runs/autoencoder.ts";
import { keepAutoencoder } from "../../lib/runs/autoencoder_command.ts";
import { trainAutoencoder } from "../../lib/runs/autoencoder_training.ts";
import { codeVersion } from "../../lib/runs/code_version.ts";
import { openLatents } from "../../lib/runs/latents.ts";
import { autoencoderOf } from "../../lib/runs/recipe_models.ts";
import { latentsCode } from "../../lib/runs/stage_code.ts";
import { readWeights, writeWeights } from "../../lib/training/weights.ts";
import { testOnEngines } from "../engines.ts";

const data = { kind: "mnist", size: 8 } as unknown as DataRecipe;
const rng = createRng(11);

/** A bright square somewhere on the left or, less often, on the right; the label says in which row. */
function squares(split: "train" | "test", count: number): Dataset {
  const places = rng.fork(split).integers(2 * count, 6), pixels = new Uint8Array(count * 64);
  for (let i = 0; i < count; i++) {
    const [left, top] = [Math.floor(places[2 * i]! * 0.7), places[2 * i + 1]!];
    for (let p = 0; p < 4; p++) pixels[64 * i + 8 * (top + (p >> 1)) + left + p % 2] = 255;
  }
  const labels = Uint8Array.from({ length: count }, (_, i) => places[2 * i + 1]! >> 1);
  return createPixelDataset({ name: `squares ${split}`, split, shape: [1, 8, 8], classes: 3, pixels, labels });
}
const images = { train: squares("train", 600), test: squares("test", 300) };
const splits = { ...images, images, toImages: (drawn: Float32Array) => Promise.resolve(drawn) };

const recipeIn = (folder: string, changes: object = {}): TrainedAutoencoder => ({
  pretrained: join(folder, "kept"),
  model: { kind: "convolutional", latentChannels: 4, widths: [16, 16], blocks: 1 },
  training: autoencoderTraining.parse({
    samples: 4096,
    batch: 32,
    learningRate: 1e-2,
    clipNorm: 1,
    emaDecay: 0.9,
    klWeight: 1e-3,
    ...changes,
  }),
});

const root = await Deno.makeTempDir();
const latents = join(root, "latents");
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));
const network = createClassifier([1, 8, 8], 3, initialize(featureParameters([1, 8, 8], 3), rng.fork("features")));
let made = 0;

/** Trains and keeps an autoencoder, in a folder of its own, on the engine in use. */
async function makeArtifact(changes: object = {}): Promise<TrainedAutoencoder> {
  const folder = join(root, String(made++)), recipe = recipeIn(folder, changes), stage = join(folder, "stage");
  const signal = new AbortController().signal;
  await trainAutoencoder(recipe, images.train, { folder: stage, identity: {}, signal });
  const origin = { engine: "test", commit: "none", code: "none", seconds: 0 };
  const card = await keepAutoencoder(recipe, data, images, network, trainedWeights(recipe, stage), origin);
  assertEquals(JSON.parse(await Deno.readTextFile(join(recipe.pretrained, "card.json"))), card);
  return recipe;
}
/** One for each engine, whose tests share it. */
const shared = new Map<string, Promise<TrainedAutoencoder>>();
function artifactOf(engine: string): Promise<TrainedAutoencoder> {
  let recipe = shared.get(engine);
  if (!recipe) shared.set(engine, recipe = makeArtifact());
  return recipe;
}

testOnEngines(
  "latents have unit size, labels and order of the images, and decode to what was encoded",
  async (engine) => {
    const { train, test, toImages } = await openLatents(await artifactOf(engine), splits, data, latents);
    assertEquals([train.shape, train.size, train.classes], [[4, 2, 2], 600, 3]);
    assertEquals(train.labels, images.train.labels);
    const all = await train.gather(Int32Array.from({ length: 600 }, (_, i) => i));
    const size = Math.sqrt(all.data.reduce((sum, x) => sum + x * x / all.data.length, 0));
    assertAlmostEquals(size, 1, 0.02);
    const rows = Int32Array.of(5, 299, 5, 0);
    const some = await test.gather(rows), same = await images.test.gather(rows);
    assertEquals(some.labels, same.labels);
    assertEquals(some.data.slice(0, 16), some.data.slice(32, 48));
    assertNotEquals(some.data.slice(0, 16), some.data.slice(16, 32));
    const back = await toImages(some.data), others = await images.test.gather(Int32Array.of(0, 5, 1, 2));
    assertLess(distance(back, same.data), distance(back, others.data) / 3);
  },
);

testOnEngines("a flipped row is the latent of the mirrored image, in its place", async (engine) => {
  const recipe = await artifactOf(engine), { train } = await openLatents(recipe, splits, data, latents);
  const rows = Int32Array.from({ length: 40 }, (_, i) => i), flipped = rows.map((i) => i % 3 === 0 ? 1 : 0);
  const { data: drawn } = await train.gather(rows, Uint8Array.from(flipped));
  const { data: pixels } = await images.train.gather(rows, Uint8Array.from(flipped));
  const means = await meansOf(recipe, pixels),
    unflipped = await meansOf(recipe, (await images.train.gather(rows)).data);
  // A draw of the narrow posterior is near its mean.
  assertLess(distance(drawn, means), distance(drawn, unflipped) / 3);
});

testOnEngines("latents are encoded once and kept on disk, both orientations", async (engine) => {
  const recipe = await artifactOf(engine), folder = join(root, `kept-${engine}`);
  const rows = Int32Array.of(17, 3, 599), flipped = Uint8Array.of(0, 1, 0);
  const first = await openLatents(recipe, splits, data, folder), a = await first.train.gather(rows, flipped);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  assertEquals(names.map((name) => name.replace(/-\w{16}\.f32$/, "")), [
    "squares-train-train-as-taken",
    "squares-train-train-mirrored",
  ]);
  // Whoever encodes again asks the images for more than labels.
  const gather = () => Promise.reject(new Error("the images were asked for"));
  const unread = { ...images.train, gather };
  const second = await openLatents(recipe, { ...splits, images: { ...images, train: unread } }, data, folder);
  assertEquals(second.train.digest, first.train.digest);
  const b = await second.train.gather(rows, flipped);
  assertEquals([...b.labels, ...b.data], [...a.labels, ...a.data]);
  await assertRejects(() => second.test.gather(rows).then(() => second.train.gather(Int32Array.of(600))), RangeError);
});

testOnEngines(
  "nothing is read or encoded before the first batch; another autoencoder has another digest",
  async (engine) => {
    const recipe = await makeArtifact({ samples: 64 }), before = tf.memory().numTensors;
    const { train } = await openLatents(recipe, splits, data, latents);
    assertEquals(tf.memory().numTensors, before);
    const other = await openLatents(await artifactOf(engine), splits, data, latents);
    assertNotEquals(other.train.digest, train.digest);
    assertNotEquals(other.test.digest, other.train.digest);
    const { weights, scale } = await findAutoencoder(recipe, data, images.train);
    const code = await codeVersion(latentsCode(recipe));
    assertEquals(
      train.digest,
      hashOf({ images: images.train.digest, weights, scale, code }),
      "the codec's code is in it",
    );
    await Deno.remove(join(recipe.pretrained, "autoencoder.safetensors"));
    await assertRejects(() => train.gather(Int32Array.of(0)), Problem, "autoencoder.safetensors");
  },
);

testOnEngines("the card says what is lost, and a longer training loses less", async (engine) => {
  const cards = await Promise.all(
    [await makeArtifact({ samples: 64 }), await artifactOf(engine)].map(async (recipe) => {
      return JSON.parse(await Deno.readTextFile(join(recipe.pretrained, "card.json"))) as AutoencoderCard;
    }),
  );
  for (const { train, test, scale, posteriorStd } of cards) {
    assert(scale > 0 && posteriorStd > 0 && train.frechet > 0);
    assertAlmostEquals(test.psnr, 20 * Math.log10(2 / test.rms), 0.02);
  }
  assertLess(cards[1]!.test.rms, cards[0]!.test.rms / 2);
  assertLess(cards[1]!.train.frechet, cards[0]!.train.frechet);
});

Deno.test("findAutoencoder refuses another recipe's, naming the first difference, other weights, and none", async () => {
  const recipe = await makeArtifact({ samples: 64 });
  const { scale } = await findAutoencoder(recipe, data, images.train);
  assertGreater(scale, 0);
  assertEquals((await findAutoencoder({ ...recipe, scale: 2 }, data, images.train)).scale, 2);
  const refused = (changed: typeof recipe, of: DataRecipe, said: string) =>
    assertRejects(() => findAutoencoder(changed, of, images.train), Problem, said);
  await refused({ ...recipe, training: { ...recipe.training, batch: 16 } }, data, "training.batch was 32, is 16");
  await refused(recipe, { ...data, size: 16 } as DataRecipe, "data.size was 8, is 16");
  const keeps = (changed: typeof recipe, of = data) => keepsAutoencoder(changed, of);
  assertEquals(await keeps(recipe), true);
  assertEquals(await keeps({ ...recipe, training: { ...recipe.training, batch: 16 } }), false);
  assertEquals(await keeps({ ...recipe, pretrained: "nowhere" }), false);
  const card = join(recipe.pretrained, "card.json");
  await Deno.writeTextFile(card, (await Deno.readTextFile(card)).replace(/"weights": "./, '"weights": "x'));
  await refused(recipe, data, "card.json describes other weights");
  assertEquals(await keeps(recipe), false);
  for (const damage of ["", "null", '{"weights": 1}']) {
    await Deno.writeTextFile(card, damage);
    await refused(recipe, data, `Cannot read ${card}: `);
  }
  const made = join(recipe.pretrained, "recipe.yaml");
  await Deno.writeTextFile(made, "data: [");
  await refused(recipe, data, `${made}:2:1: not YAML`);
  await refused({ ...recipe, pretrained: "nowhere" }, data, "There is no autoencoder in nowhere: train one with");
});

Deno.test("findAutoencoder takes Stable Diffusion's published weights, and says whose others are", async () => {
  const pretrained = await Deno.makeTempDir({ dir: root });
  const recipe: AutoencoderRecipe = { pretrained, model: { kind: "autoencoderKl" }, scale: 0.18215 };
  const small = autoencoderKl({ widths: [2, 4], layers: 1, groups: 1 }, [3, 8, 8]);
  await writeWeights(join(pretrained, "autoencoder.safetensors"), small.specs, initialize(small.specs, rng));
  const colour = { ...images.train, shape: [3, 32, 32] as const };
  const found = await findAutoencoder(recipe, data, colour);
  assertEquals([found.scale, found.definition.latentShape], [0.18215, [4, 4, 4]]);
  await assertRejects(
    found.read,
    Problem,
    "it is an autoencoder of widths [2,4] with 4 latent channels, and not Stable",
  );
});

testOnEngines("an autoencoder comes out the same, byte for byte, when its training is done again", async () => {
  const weightsOf = async () =>
    (await findAutoencoder(await makeArtifact({ samples: 128 }), data, images.train)).weights;
  assertEquals(await weightsOf(), await weightsOf());
});

/** scale · the posterior's mean. */
async function meansOf(recipe: TrainedAutoencoder, pixels: Float32Array): Promise<Float32Array> {
  const definition = autoencoderOf(recipe, images.train);
  const { flat } = await readWeights(join(recipe.pretrained, "autoencoder.safetensors"), definition.specs);
  const { scale } = await findAutoencoder(recipe, data, images.train);
  return tf.tidy(() => {
    const autoencoder = bindAutoencoder(definition, tf.tensor1d(flat));
    return autoencoder.encode(tf.tensor(pixels, [pixels.length / 64, 1, 8, 8])).mean.mul(scale).dataSync<"float32">();
  });
}

/** Root mean squared difference. */
function distance(a: Float32Array, b: Float32Array): number {
  assertEquals(a.length, b.length);
  return Math.sqrt(a.reduce((sum, x, i) => sum + (x - b[i]!) ** 2, 0) / a.length);
}
