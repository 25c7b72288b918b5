import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { tf } from "../../lib/engine/mod.ts";
import * as autoencoders from "../../lib/models/autoencoders.ts";
import { bindAutoencoder } from "../../lib/models/bind.ts";
import { convolutional } from "../../lib/models/convolutional.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import * as options from "../../lib/recipes/autoencoder_options.ts";
import { fill, relativeError } from "../golden/fill.ts";
import { testOnEngines } from "../engines.ts";

const shape = [2, 8, 12] as const;
const definition = convolutional({ latentChannels: 3, widths: [4, 6], blocks: 1 }, shape);
const weights = initialize(definition.specs, createRng(1));

testOnEngines("convolutional halves the side once a level, both ways, and keeps no tensors", () => {
  const flat = tf.tensor1d(weights.slice()), images = tf.tensor(fill("x", [2, ...shape], 1, 0), [2, ...shape]);
  const before = tf.memory().numTensors;
  const { encode, decode } = bindAutoencoder(definition, flat);
  const { mean, logVariance } = encode(images);
  assertEquals([definition.latentShape, mean.shape, logVariance.shape], [[3, 2, 3], [2, 3, 2, 3], [2, 3, 2, 3]]);
  const decoded = decode(mean);
  assertEquals(decoded.shape, [2, ...shape]);
  assertEquals(tf.memory().numTensors, before + 3);
  tf.dispose([flat, images, mean, logVariance, decoded]);
});

testOnEngines("convolutional treats the images of a batch apart, and those of two places alike", () => {
  tf.tidy(() => {
    const flat = tf.tensor1d(weights.slice()), { encode, decode } = bindAutoencoder(definition, flat);
    const two = tf.tensor(fill("x", [2, ...shape], 1, 0), [2, ...shape]);
    const second = tf.slice(two, [1, 0, 0, 0], [1, ...shape]);
    const alone = decode(encode(second).mean),
      together = tf.slice(decode(encode(two).mean), [1, 0, 0, 0], [1, -1, -1, -1]);
    assertLess(relativeError(alone.dataSync(), together.dataSync()), 1e-5);
    // Four pixels further right, one latent further right: levels commute with shifts by whole squares.
    const wide = convolutional({ latentChannels: 1, widths: [4, 6], blocks: 1 }, [2, 8, 64]);
    const params = tf.tensor1d(initialize(wide.specs, createRng(2)));
    const dot = (column: number) => {
      const image = new Float32Array(2 * 8 * 64);
      for (let row = 0; row < 8; row++) image[row * 64 + column] = 1;
      return bindAutoencoder(wide, params).encode(tf.tensor(image, [1, 2, 8, 64])).mean.dataSync();
    };
    const here = dot(26), there = dot(30);
    assertGreater(Math.max(...here.map(Math.abs)), 1e-3);
    for (let column = 4; column < 12; column++) assertLess(Math.abs(here[column]! - there[column + 1]!), 1e-6);
  });
});

testOnEngines("convolutional keeps the log-variance where its exponential is a number", () => {
  tf.tidy(() => {
    const huge = tf.tensor1d(weights.map((x) => 1e3 * x)), { encode } = bindAutoencoder(definition, huge);
    const { logVariance } = encode(tf.tensor(fill("x", [1, ...shape], 1, 0), [1, ...shape]));
    const values = [...logVariance.dataSync()];
    assert(values.every((value) => value >= -30 && value <= 20));
    assert(values.some((value) => value === -30 || value === 20));
  });
});

Deno.test("every autoencoder has options, and the factor they state is that of its latents", () => {
  for (const kind of Object.keys(autoencoders)) assert(kind in options, kind);
  const { factor } = options.convolutional;
  for (const widths of [[4], [4, 4], [4, 4, 4]]) {
    const { latentShape } = convolutional({ latentChannels: 2, widths, blocks: 0 }, [1, 16, 16]);
    assertEquals(latentShape, [2, 16 / factor({ widths }), 16 / factor({ widths })]);
  }
});

Deno.test("convolutional says which images it cannot halve", () => {
  const build = () => convolutional({ latentChannels: 4, widths: [4, 4, 4], blocks: 1 }, [1, 28, 28]);
  assertThrows(build, Problem, "3 levels halve the side as often, but 28×28 is not divisible by 8");
});
