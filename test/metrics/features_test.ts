import { assert, assertEquals, assertLess, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { quantise } from "../../lib/data/quantise.ts";
import { createPixelDataset } from "../../lib/data/pixel_dataset.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { classify, createClassifier, featureParameters, featureWidth } from "../../lib/metrics/classifier.ts";
import { loadFeatureNetwork, saveFeatureNetwork } from "../../lib/metrics/feature_artifact.ts";
import { extractFeatures, featureStatistics } from "../../lib/metrics/features.ts";
import { statisticsOf } from "../../lib/metrics/statistics.ts";
import { initialize, parameterCount, sizeOf } from "../../lib/nn/parameters.ts";
import { writeSafetensors } from "../../lib/training/safetensors.ts";

const engines = (await openEngine("auto")).kind === "native" ? ["native", "wasm"] as const : ["wasm"] as const;
const rng = createRng(5);

/** A network of random values, biases too. */
function randomNetwork(shape: readonly [number, number, number], classes = 10) {
  const specs = featureParameters(shape, classes);
  const values = initialize(specs, rng.fork("weights"));
  return createClassifier(shape, classes, values.map((x, i) => x || rng.at(i).normal(1)[0]! / 10));
}

function randomImages(count: number, shape: readonly number[]): Float32Array {
  return quantise(Float32Array.from(rng.fork("images").uniform(count * sizeOf(shape)), (u) => 2 * u - 1));
}

Deno.test("featureParameters are 72842 values at 16x16, and three halvings need 8x8", () => {
  assertEquals(parameterCount(featureParameters([1, 16, 16], 10)), 72842);
  // 28 halves to 14, 7 and 3: the dense layer reads 3 x 3 x 64.
  assertEquals(featureParameters([3, 28, 28], 10).find(({ name }) => name === "features.weight")?.shape, [64, 576]);
  assertThrows(() => featureParameters([1, 7, 8], 10), RangeError, "8x8 or more");
  assertThrows(() => createClassifier([1, 8, 8], 10, new Float32Array(3)), RangeError, "got 3");
});

for (const engine of engines) {
  Deno.test(`extractFeatures is the network written out as sums (${engine})`, async () => {
    await openEngine(engine);
    const shape = [2, 10, 8] as const, network = randomNetwork(shape, 3);
    const images = randomImages(2, shape);
    const features = await extractFeatures(network, images), predicted = await classify(network, features);
    assertEquals([features.length, predicted.length], [2 * featureWidth, 2]);
    const weights = Object.fromEntries(
      Object.entries(network.parameters).map(([name, tensor]) => [name, Array.from(tensor.dataSync())]),
    );
    for (let i = 0; i < 2; i++) {
      const expected = writtenOut(weights, images.subarray(i * sizeOf(shape), (i + 1) * sizeOf(shape)), shape);
      assertClose(features.subarray(i * featureWidth, (i + 1) * featureWidth), expected.features, 1e-4);
      assertEquals(predicted[i], expected.logits.indexOf(Math.max(...expected.logits)));
    }
    network.dispose();
  });

  Deno.test(`extractFeatures does not depend on how images are grouped, and leaves no tensor (${engine})`, async () => {
    await openEngine(engine);
    const shape = [1, 16, 16] as const, size = sizeOf(shape), count = 300;
    const network = randomNetwork(shape), images = randomImages(count, shape);
    const before = tf.memory().numTensors;
    const whole = await extractFeatures(network, images);
    for (const [begin, end] of [[0, 1], [250, 262], [17, 299]] as const) {
      const part = await extractFeatures(network, images.subarray(begin * size, end * size));
      assertClose(part, whole.subarray(begin * featureWidth, end * featureWidth), 1e-5);
    }
    assertEquals((await extractFeatures(network, new Float32Array())).length, 0);
    assertEquals(tf.memory().numTensors, before);
    network.dispose();
    assertEquals(tf.memory().numTensors, before - featureParameters(shape, 10).length);
  });
}

Deno.test({
  name: "extractFeatures gives the same features on both engines",
  ignore: engines.length < 2,
  fn: async () => {
    const shape = [1, 28, 28] as const, images = randomImages(20, shape);
    const results: Float32Array[] = [];
    for (const engine of engines) {
      await openEngine(engine);
      const network = randomNetwork(shape);
      results.push(await extractFeatures(network, images));
      network.dispose();
    }
    assertClose(results[1]!, results[0]!, 1e-4);
  },
});

Deno.test("extractFeatures reads a dataset row by row, and refuses images of another shape", async () => {
  await openEngine("wasm");
  const network = randomNetwork([1, 8, 8]);
  const pixels = Uint8Array.from(rng.integers(3 * 64, 256)), labels = Uint8Array.of(0, 1, 2);
  const set = { name: "three", split: "test", shape: [1, 8, 8], classes: 3, pixels, labels } as const;
  const dataset = createPixelDataset(set);
  const { data } = await dataset.gather(Int32Array.of(0, 1, 2));
  assertEquals(await extractFeatures(network, dataset), await extractFeatures(network, data));
  const wide = createPixelDataset({ ...set, shape: [1, 4, 16] });
  await assertRejects(() => extractFeatures(network, wide), RangeError, "takes images of 1x8x8, three has 1x4x16");
  await assertRejects(() => extractFeatures(network, new Float32Array(65)), RangeError, "no whole number of images");
  network.dispose();
});

Deno.test("extractFeatures stores images at grey levels first, so that it does not see how finely they were given", async () => {
  await openEngine("wasm");
  const shape = [1, 8, 8] as const, network = randomNetwork(shape), images = randomImages(3, shape);
  const finer = images.map((x, i) => x + (i % 2 === 0 ? 0.4 : -0.4) / 127.5);
  assertEquals(await extractFeatures(network, finer), await extractFeatures(network, images));
  await assertRejects(() => extractFeatures(network, images.map((x, i) => i === 70 ? NaN : x)), Problem, "diverged");
  network.dispose();
});

Deno.test("featureStatistics takes pieces of any size one after another, and tells how far it is", async () => {
  await openEngine("wasm");
  const shape = [1, 8, 8] as const, size = sizeOf(shape), count = 700;
  const network = randomNetwork(shape), images = randomImages(count, shape);
  async function* pieces() {
    for (const [begin, end] of [[0, 3], [3, 3], [3, 600], [600, 700]] as const) {
      yield await Promise.resolve(images.subarray(begin * size, end * size));
    }
  }
  const told: number[] = [];
  const streamed = await featureStatistics(network, pieces(), { onProgress: (done) => told.push(done) });
  assertEquals(streamed, statisticsOf(await extractFeatures(network, images), featureWidth));
  assertEquals(told, [256, 512, 700]);
  await assertRejects(() => featureStatistics(network, images.subarray(1)), RangeError, "no whole number of images");
  network.dispose();
});

Deno.test("featureStatistics hears a stop between passes, though the engine computes each at once", async () => {
  await openEngine("auto");
  const shape = [1, 8, 8] as const, network = randomNetwork(shape), stop = new AbortController();
  setTimeout(() => stop.abort(new Problem("stopped")));
  const onProgress = () => stop.signal.throwIfAborted();
  const images = randomImages(20 * network.batch, shape);
  await assertRejects(() => featureStatistics(network, images, { onProgress }), Problem, "stopped");
  network.dispose();
});

Deno.test("loadFeatureNetwork reads back what saveFeatureNetwork wrote, and nothing else", async () => {
  await openEngine("wasm");
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/features.safetensors`, network = randomNetwork([1, 8, 8], 4);
    await saveFeatureNetwork(path, network, { data: "random" });
    const read = await loadFeatureNetwork(path);
    assertEquals([read.digest, read.shape, read.classes], [network.digest, [1, 8, 8], 4]);
    const images = randomImages(5, [1, 8, 8]);
    assertEquals(await extractFeatures(read, images), await extractFeatures(network, images));
    const other = randomNetwork([1, 8, 8], 5);
    assertNotEquals(other.digest, network.digest);
    await writeSafetensors(path, [["w", { shape: [1], data: Float32Array.of(1) }]], { shape: "1x8x8", classes: "4" });
    const { message } = await assertRejects(() => loadFeatureNetwork(path), Problem);
    assertEquals(
      message,
      `Cannot use ${path}: it holds no feature network of this version; train one with \`deno task features EXPERIMENT\``,
    );
    for (const each of [network, read, other]) each.dispose();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assertEquals(actual.length, expected.length);
  assert(Array.from(actual).some((x) => x !== 0), "all features are zero");
  for (let i = 0; i < actual.length; i++) assertLess(Math.abs(actual[i]! - expected[i]!), tolerance, `value ${i}`);
}

/** The definition, in float64: channels first, sums written as loops. */
function writtenOut(weights: Record<string, number[]>, image: Float32Array, [channels, h, w]: readonly number[]) {
  let x = Array.from(image), [c, height, width] = [channels!, h!, w!];
  for (const name of ["convolution1", "convolution2", "convolution3"]) {
    const filter = weights[`${name}.weight`]!, bias = weights[`${name}.bias`]!;
    const response = bias.flatMap((b, out) =>
      Array.from({ length: height * width }, (_, p) => {
        const row = Math.floor(p / width), column = p % width;
        let sum = b;
        for (let k = 0; k < c * 9; k++) {
          const [y, z] = [row + Math.floor(k % 9 / 3) - 1, column + k % 3 - 1];
          const inside = y >= 0 && y < height && z >= 0 && z < width;
          if (inside) sum += filter[out * c * 9 + k]! * x[(Math.floor(k / 9) * height + y) * width + z]!;
        }
        return Math.max(0, sum);
      })
    );
    const [tall, wide] = [height, width];
    [c, height, width] = [bias.length, Math.floor(height / 2), Math.floor(width / 2)];
    x = Array.from({ length: c * height * width }, (_, p) => {
      const at = (Math.floor(p / (height * width)) * tall + Math.floor(p / width) % height * 2) * wide + p % width * 2;
      return Math.max(response[at]!, response[at + 1]!, response[at + wide]!, response[at + wide + 1]!);
    });
  }
  // The dense layer reads position by position, channels last.
  const positions = height * width;
  const flat = Array.from({ length: x.length }, (_, i) => x[i % c * positions + Math.floor(i / c)]!);
  const features = affine(weights, "features", flat);
  return { features, logits: affine(weights, "logits", features.map((f) => f > 0 ? f : 0.1 * f)) };
}

function affine(weights: Record<string, number[]>, name: string, x: number[]): number[] {
  const weight = weights[`${name}.weight`]!;
  return weights[`${name}.bias`]!.map((b, out) => x.reduce((sum, v, i) => sum + weight[out * x.length + i]! * v, b));
}
