import { assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { type Tensor, tf } from "../../lib/engine/mod.ts";
import { convolutional } from "../../lib/models/convolutional.ts";
import type { AutoencoderDefinition } from "../../lib/models/types.ts";
import { initialize, unpack } from "../../lib/nn/parameters.ts";
import { autoencodingBatch, autoencodingLoss, drawPosterior, posteriorNoise } from "../../lib/training/autoencoding.ts";
import { defaultOptimizer } from "../../lib/training/optimizer.ts";
import { createTrainer } from "../../lib/training/trainer.ts";
import { testOnEngines } from "../engines.ts";

const rng = createRng(3), shape: [number, number, number] = [1, 8, 8];

/** One latent per image, its mean; decoded to that value everywhere. */
const averaging = (logVariance: number): AutoencoderDefinition => ({
  specs: [],
  latentShape: [1, 1, 1],
  encode: (_, images) => {
    const mean = tf.mean(images, [1, 2, 3], true);
    return { mean, logVariance: tf.fill(mean.shape, logVariance) };
  },
  decode: (_, latents) => latents.mul(tf.ones([1, ...shape])),
});

testOnEngines("autoencodingLoss() is the mean squared error of a draw, and the KL of its Gaussian", async () => {
  const count = 400, level = Float32Array.from({ length: count }, (_, i) => i % 2 === 0 ? 0.5 : -0.25);
  const data = Float32Array.from({ length: count * 64 }, (_, i) => level[i >> 6]!);
  const batch = autoencodingBatch({ data, labels: new Int32Array(count) }, shape, [1, 1, 1], rng);
  const lossOf = (logVariance: number, klWeight: number) =>
    tf.tidy(() => autoencodingLoss(averaging(logVariance), { klWeight })({}, batch).dataSync()[0]!);
  // Grey images are decoded to themselves plus the posterior's noise, whose mean square is its variance.
  const variance = 0.04, noise = [...await batch.noise!.data()];
  const error = variance * noise.reduce((sum, x) => sum + x * x, 0) / count;
  assertAlmostEquals(lossOf(Math.log(variance), 0), error, 1e-6);
  // KL(N(m, s²) ‖ N(0, 1)) = ½(m² + s² − 1 − ln s²).
  const kl = level.reduce((sum, m) => sum + (m * m + variance - 1 - Math.log(variance)) / 2 / count, 0);
  assertAlmostEquals(lossOf(Math.log(variance), 0.5), error + 0.5 * kl, 1e-5);
  tf.dispose(batch);
});

testOnEngines("drawPosterior() has the mean and variance it is given, row by row from the key of the row", () => {
  tf.tidy(() => {
    const rows = Int32Array.from({ length: 3000 }, (_, i) => 7 * i);
    const noise = posteriorNoise(rows, [2, 1, 2], rng);
    const drawn = drawPosterior(tf.fill([3000, 2, 1, 2], 3), tf.fill([3000, 2, 1, 2], Math.log(0.25)), noise);
    const values = [...drawn.dataSync()], mean = values.reduce((sum, x) => sum + x / values.length, 0);
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2 / values.length, 0);
    assertAlmostEquals(mean, 3, 5 * 0.5 / Math.sqrt(values.length));
    assertAlmostEquals(variance, 0.25, 5 * 0.25 * Math.sqrt(2 / values.length));
    const alone = posteriorNoise(Int32Array.of(14), [2, 1, 2], rng);
    assertEquals([...alone.dataSync()], [...tf.slice(noise, [2, 0, 0, 0], [1, -1, -1, -1]).dataSync()]);
  });
  return Promise.resolve();
});

testOnEngines("a small autoencoder learns bars: what comes back is nearer to what went in", async () => {
  const definition = convolutional({ latentChannels: 4, widths: [16, 16], blocks: 1 }, shape);
  const bars = (step: number) => {
    const draws = rng.fork("bars").at(step).integers(2 * 16, 8);
    // An upright and a lying bar, each two pixels wide.
    const lit = (i: number) => {
      const [column, row] = [i % 8, Math.floor(i / 8) % 8], image = i >> 6;
      return Math.abs(column - draws[2 * image]!) < 2 || Math.abs(row - draws[2 * image + 1]!) < 2;
    };
    return { data: Float32Array.from({ length: 16 * 64 }, (_, i) => lit(i) ? 1 : -1), labels: new Int32Array(16) };
  };
  const before = tf.memory().numTensors;
  const trainer = createTrainer({
    name: "autoencoder",
    specs: definition.specs,
    initial: initialize(definition.specs, rng.fork("initial")),
    loss: autoencodingLoss(definition, { klWeight: 1e-3 }),
    optimizer: { ...defaultOptimizer, emaDecay: 0.9 },
    schedule: () => 1e-2,
  });
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) {
    const batch = autoencodingBatch(bars(step), shape, definition.latentShape, rng.at(step));
    losses.push((await trainer.train(batch)).loss);
    tf.dispose(batch);
  }
  const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x / values.length, 0);
  assertLess(mean(losses.slice(-10)), mean(losses.slice(0, 3)) / 5);
  assertEquals(tf.memory().numTensors, before + 4, "the four vectors and nothing else");
  trainer.dispose();
});

testOnEngines("the gradient of the loss is that of its values, through encoder, draw and decoder", () => {
  tf.tidy(() => {
    const definition = convolutional({ latentChannels: 1, widths: [6, 6], blocks: 1 }, [1, 4, 4]);
    const values = initialize(definition.specs, rng.fork("gradient"));
    const loss = autoencodingLoss(definition, { klWeight: 0.1 });
    const batch = autoencodingBatch(
      { data: Float32Array.from(rng.fork("images").normal(32)), labels: new Int32Array(2) },
      [1, 4, 4],
      definition.latentShape,
      rng,
    );
    const lossAt = (flat: Tensor) => loss(unpack(flat, definition.specs), batch) as ReturnType<typeof tf.scalar>;
    const gradient = tf.grad(lossAt)(tf.tensor1d(values)).dataSync<"float32">();
    // Uphill in every parameter, by a step short enough for the curvature and long enough for float32.
    const direction = gradient.map((g) => (g >= 0 ? 1 : -1) / Math.sqrt(values.length));
    const along = (h: number) => lossAt(tf.tensor1d(values.map((x, i) => x + h * direction[i]!))).dataSync()[0]!;
    const slope = gradient.reduce((sum, g, i) => sum + g * direction[i]!, 0);
    assertAlmostEquals((along(2e-3) - along(-2e-3)) / 4e-3, slope, 1e-2 * slope);
  });
  return Promise.resolve();
});
