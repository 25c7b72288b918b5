import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { tf } from "../../lib/engine/mod.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { bindAutoencoder } from "../../lib/models/bind.ts";
import type { AutoencoderDefinition } from "../../lib/models/types.ts";
import type { ImageShape } from "../../lib/nn/patches.ts";
import sdVae from "../golden/sd-vae.json" with { type: "json" };
import { fill, fillFlat, relativeError } from "../golden/fill.ts";
import { testOnEachEngine } from "../nn/engines.ts";

const tolerance = 2e-3;

/** The case's 84 million parameters, made once for both engines, in the definition's order. */
let values: Float32Array | undefined;
const goldenValues = (definition: AutoencoderDefinition) => values ??= fillFlat(inOrder(definition));
function inOrder({ specs }: AutoencoderDefinition) {
  const given = new Map(sdVae.params.map((param) => [param.name, param]));
  assertEquals(given.size, specs.length);
  return specs.map(({ name }) => given.get(name)!);
}

await testOnEachEngine("autoencoderKl encodes and decodes as Stable Diffusion's does", () => {
  const { input, latent } = sdVae;
  const definition = autoencoderKl({}, input.shape.slice(1) as unknown as ImageShape);
  const expected = inOrder(definition).map(({ name, shape }) => [name, shape]);
  assertEquals(definition.specs.map(({ name, shape }) => [name, shape]), expected);
  assertEquals([...definition.latentShape], latent.shape.slice(1));
  const flat = tf.tensor1d(goldenValues(definition));
  const autoencoder = bindAutoencoder(definition, flat);
  const images = tf.tensor(fill(input.name, input.shape, input.scale, input.offset), input.shape);
  const { mean, logVariance } = autoencoder.encode(images);
  assertLess(relativeError(mean.dataSync(), sdVae.mean.data), tolerance);
  assertLess(relativeError(logVariance.dataSync(), sdVae.logvar.data), tolerance);
  const decoded = autoencoder.decode(
    tf.tensor(fill(latent.name, latent.shape, latent.scale, latent.offset), latent.shape),
  );
  const every4th = tf.tidy(() => tf.stridedSlice(decoded, [0, 0, 0, 0], decoded.shape, [1, 1, 4, 4]));
  assertLess(relativeError(every4th.dataSync(), sdVae.decoded_sample.data), tolerance);
  tf.dispose([flat, images, mean, logVariance, decoded, every4th]);
});

Deno.test("autoencoderKl says which sizes do not fit", () => {
  assertThrows(() => autoencoderKl({}, [3, 36, 32]), Problem, "images of 36×32");
  assertThrows(() => autoencoderKl({ groups: 48 }, [3, 32, 32]), Problem, "48 groups do not divide width 128");
});
