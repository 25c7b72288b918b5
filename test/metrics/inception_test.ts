import { assertEquals, assertLess } from "@std/assert";
import { tf } from "../../lib/engine/mod.ts";
import { createInception } from "../../lib/metrics/inception.ts";
import { foldTensors, inceptionTensors } from "../../lib/metrics/inception_weights.ts";
import { fill, relativeError } from "../golden/fill.ts";
import golden from "../golden/inception-fid.json" with { type: "json" };
import { testOnEachEngine } from "../nn/engines.ts";

const tensors = new Map(golden.params.map(({ name, shape, scale, offset }) => {
  return [name, { shape, data: fill(name, shape, scale, offset) }] as const;
}));
const weights = foldTensors(tensors);
const asPytorchFid = { resize: "halfPixel", quantise: "none", convention: "pytorchFid" } as const;

Deno.test("inceptionTensors are the reference's, in its order", () => {
  const named = ({ name, shape }: { name: string; shape: readonly number[] }) => `${name} ${shape}`;
  assertEquals(inceptionTensors().map(named), golden.params.map(named));
});

await testOnEachEngine("Inception has the reference's features", async () => {
  const { shape: [count, ...shape], name, scale, offset } = golden.input;
  const images = fill(name, golden.input.shape, scale, offset).map((x) => 2 * x - 1);
  const before = tf.memory().numTensors;
  const network = createInception(weights, shape as [number, number, number], { ...asPytorchFid, batch: count! });
  const features = await network.features(images);
  console.log(relativeError(features, golden.features2048.data));
  assertLess(relativeError(features, golden.features2048.data), 2e-3);
  network.dispose();
  assertEquals(tf.memory().numTensors, before);
});
