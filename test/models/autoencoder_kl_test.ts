import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { bindAutoencoder } from "../../lib/models/bind.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import type { ImageShape } from "../../lib/nn/patches.ts";
import sdVae from "../golden/sd-vae.json" with { type: "json" };
import { fill, fillFlat, relativeError } from "../golden/fill.ts";
import { engines, testOnEngines } from "../engines.ts";

const tolerance = 2e-3;

// The network has 84 million parameters: on two engines it would take minutes, and 5 GB on the embedded one.
const engine = engines.at(-1)!;

Deno.test(`autoencoderKl encodes and decodes as Stable Diffusion's does (${engine})`, async () => {
  await openEngine(engine);
  const { input, latent, params } = sdVae;
  const definition = autoencoderKl({}, input.shape.slice(1) as unknown as ImageShape);
  const given = new Map(params.map((param) => [param.name, param]));
  const inOrder = definition.specs.map(({ name }) => given.get(name)!);
  assertEquals(
    definition.specs.map(({ name, shape }) => [name, shape]),
    inOrder.map(({ name, shape }) => [name, shape]),
  );
  assertEquals(given.size, definition.specs.length);
  assertEquals([...definition.latentShape], latent.shape.slice(1));
  const flat = tf.tensor1d(fillFlat(inOrder));
  const { encode, decode } = bindAutoencoder(definition, flat);
  const images = tf.tensor(fill(input.name, input.shape, input.scale, input.offset), input.shape);
  const { mean, logVariance } = encode(images);
  assertLess(relativeError(mean.dataSync(), sdVae.mean.data), tolerance);
  assertLess(relativeError(logVariance.dataSync(), sdVae.logvar.data), tolerance);
  const decoded = decode(tf.tensor(fill(latent.name, latent.shape, latent.scale, latent.offset), latent.shape));
  const every4th = tf.tidy(() => tf.stridedSlice(decoded, [0, 0, 0, 0], decoded.shape, [1, 1, 4, 4]));
  assertLess(relativeError(every4th.dataSync(), sdVae.decoded_sample.data), tolerance);
  tf.dispose([flat, images, mean, logVariance, decoded, every4th]);
});

const small = autoencoderKl({ widths: [8, 16], layers: 1, groups: 4, latentChannels: 2 }, [3, 8, 12]);
const weights = initialize(small.specs, createRng(1));
const seen: number[][] = [];

testOnEngines(
  "autoencoderKl treats the images of a batch apart, alike on both engines, and keeps no tensors",
  () => {
    const flat = tf.tensor1d(weights), { encode, decode } = bindAutoencoder(small, flat);
    const two = tf.tensor(fill("x", [2, 3, 8, 12], 1, 0), [2, 3, 8, 12]);
    const before = tf.memory().numTensors;
    const both = encode(two), decoded = decode(both.mean);
    assertEquals([both.mean.shape, both.logVariance.shape, decoded.shape], [[2, 2, 4, 6], [2, 2, 4, 6], [2, 3, 8, 12]]);
    assertEquals(tf.memory().numTensors, before + 3);
    tf.tidy(() => {
      const alone = decode(encode(tf.slice(two, 1, 1)).mean), together = tf.slice(decoded, 1, 1);
      assertLess(relativeError(alone.dataSync(), together.dataSync()), 1e-5);
    });
    seen.push([...both.mean.dataSync(), ...both.logVariance.dataSync(), ...decoded.dataSync()]);
    assertLess(relativeError(seen[0]!, seen.at(-1)!), 1e-4);
    tf.dispose([flat, two, both.mean, both.logVariance, decoded]);
  },
);

Deno.test("autoencoderKl says which sizes do not fit", () => {
  assertThrows(() => autoencoderKl({}, [3, 36, 32]), Problem, "images of 36×32");
  assertThrows(() => autoencoderKl({ groups: 48 }, [3, 32, 32]), Problem, "48 groups do not divide width 128");
});
