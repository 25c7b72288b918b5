import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { hashFile } from "../../lib/core/hash.ts";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { openEngine } from "../../lib/engine/mod.ts";
import { featureStatistics } from "../../lib/metrics/features.ts";
import { inceptionDefaults } from "../../lib/metrics/inception_options.ts";
import { inceptionTensors } from "../../lib/metrics/inception_weights.ts";
import { sizeOf } from "../../lib/nn/parameters.ts";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { featuresKey, openFeatures, referenceOf, referencePath } from "../../lib/runs/features.ts";
import { writeSafetensors } from "../../lib/training/safetensors.ts";
import { memoryDataset } from "../metrics/memory_dataset.ts";

const published = { kind: "inception", weights: "data/inception.pth", ...inceptionDefaults } as const;

Deno.test("the paper's scale measures with Inception, and its plan needs no weights yet", async () => {
  const { recipe } = await loadRecipe("table4", "paper");
  assertEquals(recipe.features, { ...published, weights: "data/pt_inception-2015-12-05-6726825d.pth" });
  const key = await featuresKey(recipe.features);
  assertEquals(await featuresKey({ ...published, weights: "elsewhere.pth" }), key);
  const others = [{ resize: "halfPixel" }, { quantise: "trunc" }, { convention: "pytorchFid" }, {
    sha256: "0".repeat(64),
  }, { reference: "reference.npz" }] as const;
  const keys = await Promise.all(others.map((other) => featuresKey({ ...published, ...other })));
  assertEquals(new Set([...keys, key]).size, others.length + 1);
});

Deno.test("a trained network is still known by the digest of its file alone", async () => {
  const { recipe: { features } } = await loadRecipe("table4", "quick");
  assert("pretrained" in features);
  assertEquals(await featuresKey(features), await hashFile(`${features.pretrained}/features.safetensors`));
});

Deno.test("Inception's statistics of a training set are computed once for each set of options", async () => {
  await openEngine("auto");
  const home = Deno.cwd(), folder = await Deno.makeTempDir();
  Deno.chdir(folder);
  try {
    const values = Float32Array.from({ length: 3_000_000 }, (_, i) => (i * 7 % 11 - 5) / 40);
    const tensors = inceptionTensors().map(({ name, shape }) => {
      const data = values.subarray(0, sizeOf(shape));
      return [name, { shape, data: name.endsWith("running_var") ? data.map(() => 1) : data }] as const;
    });
    await writeSafetensors("w.safetensors", tensors);
    const recipe = { ...published, weights: "w.safetensors", sha256: await hashFile("w.safetensors") };
    const pixels = Float32Array.from(createRng(1).uniform(3 * 48), (u) => 2 * u - 1);
    const train = memoryDataset(pixels, Int32Array.of(0, 1, 0), [3, 4, 4]);
    const features = await openFeatures(recipe, train), { signal } = new AbortController();
    assertEquals(features.name, `Inception (tf1, 127.5x+128, torchFidelity) ${features.network.digest.slice(0, 8)}`);
    const first = await referenceOf(recipe, features, train, "native", signal);
    assertEquals([first.count, first.dims], [3, 2048]);
    const direct = await featureStatistics(features.network, train);
    assert(first.mean.every((x, i) => Math.abs(x - direct.mean[i]!) <= 1e-12 * Math.abs(x)));
    const path = await referencePath(recipe, features.network, train, "native");
    assertNotEquals(await referencePath(recipe, features.network, train, "wasm"), path);
    const classifier = { kind: "classifier", pretrained: "anywhere" } as const;
    assertNotEquals(await referencePath(classifier, features.network, train, "native"), path, "other code, other path");
    const { mtime } = await Deno.stat(path);
    assertEquals(await referenceOf(recipe, features, train, "native", signal), first);
    assertEquals((await Deno.stat(path)).mtime, mtime);
    await assertRejects(
      () => referenceOf({ ...recipe, reference: "none.npz" }, features, train, "native", signal),
      Problem,
      "Cannot read none.npz: it does not exist",
    );
    features.network.dispose();
  } finally {
    Deno.chdir(home);
    await Deno.remove(folder, { recursive: true });
  }
});
