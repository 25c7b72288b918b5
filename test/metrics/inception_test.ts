import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine, tf } from "../../lib/engine/mod.ts";
import { extractFeatures } from "../../lib/metrics/features.ts";
import { createInception } from "../../lib/metrics/inception.ts";
import { inceptionWidth } from "../../lib/metrics/inception_layout.ts";
import { inceptionDefaults, type InceptionOptions } from "../../lib/metrics/inception_options.ts";
import { foldTensors, inceptionTensors } from "../../lib/metrics/inception_weights.ts";
import { sizeOf } from "../../lib/nn/parameters.ts";
import { fill, relativeError } from "../golden/fill.ts";
import golden from "../golden/inception-fid.json" with { type: "json" };
import { testOnEngines } from "../engines.ts";

const tensors = new Map(golden.params.map(({ name, shape, scale, offset }) => {
  return [name, { shape, data: fill(name, shape, scale, offset) }] as const;
}));
const weights = foldTensors(tensors);
const asPytorchFid = { resize: "halfPixel", quantise: "none", convention: "pytorchFid" } as const;

Deno.test("inceptionTensors are the reference's, in its order", () => {
  const named = ({ name, shape }: { name: string; shape: readonly number[] }) => `${name} ${shape}`;
  assertEquals(inceptionTensors().map(named), golden.params.map(named));
});

testOnEngines("Inception has the reference's features", async () => {
  const { shape: [count, ...shape], name, scale, offset } = golden.input;
  const images = fill(name, golden.input.shape, scale, offset).map((x) => 2 * x - 1);
  const before = tf.memory().numTensors;
  const network = createInception(weights, shape as [number, number, number], { ...asPytorchFid, batch: count! });
  const features = await network.features(images);
  assertLess(relativeError(features, golden.features2048.data), 1e-4);
  network.dispose();
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("Inception's features do not depend on the batch, and differ by every option", async () => {
  await openEngine("auto");
  const shape = [3, 20, 31] as const;
  const images = Float32Array.from(createRng(3).uniform(2 * sizeOf(shape)), (u) => 2 * u - 1);
  const measured = async (options: InceptionOptions) => {
    const network = createInception(weights, shape, options);
    const features = await extractFeatures(network, images);
    network.dispose();
    return { features, digest: network.digest };
  };
  const whole = await measured({ ...inceptionDefaults, batch: 2 });
  const parts = await measured({ ...inceptionDefaults, batch: 1 });
  assertEquals([whole.features.length, parts.digest], [2 * inceptionWidth, whole.digest]);
  assertLess(relativeError(parts.features, whole.features), 1e-5);
  const others = [{ resize: "halfPixel" }, { resize: "pillowBicubic" }, { quantise: "trunc" }, { quantise: "none" }, {
    convention: "pytorchFid",
  }] as const;
  const digests = new Set([whole.digest]);
  for (const other of others) {
    const { features, digest } = await measured({ ...inceptionDefaults, ...other, batch: 2 });
    assertGreater(relativeError(features, whole.features), 1e-4, JSON.stringify(other));
    assertLess(relativeError(features, whole.features), 5, JSON.stringify(other));
    digests.add(digest);
  }
  assertEquals(digests.size, others.length + 1);
});

Deno.test("Inception takes a grey image for three equal channels, and no other number of them", async () => {
  await openEngine("auto");
  const size = 9 * 16, grey = Float32Array.from(createRng(4).uniform(2 * size), (u) => 2 * u - 1);
  const colour = new Float32Array(3 * grey.length);
  for (let i = 0; i < colour.length; i++) colour[i] = grey[Math.floor(i / (3 * size)) * size + i % size]!;
  const options = { ...inceptionDefaults, batch: 2 };
  const one = createInception(weights, [1, 9, 16], options), three = createInception(weights, [3, 9, 16], options);
  assertEquals(await one.features(grey), await three.features(colour));
  for (const network of [one, three]) network.dispose();
  assertThrows(() => createInception(weights, [4, 9, 16], options), RangeError, "1 or 3 channels, got 4");
});
