import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { frechetReference } from "../../lib/metrics/frechet.ts";
import { type FeatureNetwork, featureStatistics } from "../../lib/metrics/features.ts";
import { keptStatistics, readPublishedStatistics } from "../../lib/metrics/reference_statistics.ts";
import { memoryDataset } from "./memory_dataset.ts";

const fixture = (name: string) => new URL(`../fixtures/npz/${name}`, import.meta.url).pathname;

Deno.test("readPublishedStatistics() is a reference that any number of images is measured against", async () => {
  const statistics = await readPublishedStatistics(fixture("statistics.npz"), 3);
  assertEquals(statistics, {
    count: Infinity,
    dims: 3,
    mean: Float64Array.of(0.5, -1, 2),
    covariance: Float64Array.of(2, 0.5, 0, 0.5, 1, 0.25, 0, 0.25, 4),
  });
  const shifted = { ...statistics, count: 100, mean: Float64Array.of(1.5, -1, 0) };
  assertAlmostEquals(frechetReference(statistics).distance(shifted), 5, 1e-12);
});

Deno.test("readPublishedStatistics() refuses what is no covariance of the network's features", async (t) => {
  const path = fixture("statistics.npz");
  await assertRejects(
    () => readPublishedStatistics(path, 2048),
    Problem,
    `Cannot use ${path} as reference statistics: mu has shape [3] and sigma [3,3] where the network's 2048 features ` +
      "need [2048] and [2048,2048]",
  );
  const refused = {
    "nan.npz": "it holds values that are not finite",
    "negative.npz": "the variance of feature 1 is negative",
    "crooked.npz": "sigma is not symmetric at 1, 0",
    "stored.npz": "it has no array mu",
  };
  for (const [name, sentence] of Object.entries(refused)) {
    await t.step(name, async () => {
      await assertRejects(() => readPublishedStatistics(fixture(name), 3), Problem, sentence);
    });
  }
});

/** A network whose features are an image's values, told of every pass. */
function values(width: number, onPass: () => void = () => {}): FeatureNetwork {
  const features = (images: Float32Array) => (onPass(), Promise.resolve(images.slice()));
  return { shape: [1, 1, width], width, digest: "values", batch: 96, features, dispose() {} };
}

const dims = 5;
const images = (count: number) => {
  const rows = createRng(1).normal(count * dims).map((x) => 100 + x / 3);
  return memoryDataset(rows, new Int32Array(count), [1, 1, dims]);
};

Deno.test("keptStatistics() computes once, keeps 48 bits, and notices damage", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/a/reference.safetensors`, set = images(40);
    let passes = 0;
    const network = values(dims, () => passes++);
    const first = await keptStatistics(path, network, set), second = await keptStatistics(path, network, set);
    assertEquals(passes, 1);
    assertEquals(second, first);
    assertEquals([first.count, first.dims], [40, dims]);
    const computed = await featureStatistics(network, set);
    for (const part of ["mean", "covariance"] as const) {
      first[part].forEach((x, i) => assertAlmostEquals(x, computed[part][i]!, 2 ** -47 * Math.abs(computed[part][i]!)));
    }
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(path, bytes);
    await assertRejects(() => keptStatistics(path, network, set), Problem, "does not match its digest");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("keptStatistics() that was stopped, or whose beginning is damaged, ends in the same bytes", async () => {
  const folder = await Deno.makeTempDir(), set = images(2000), stopped = new Problem("stopped");
  try {
    const path = (name: string) => `${folder}/${name}.safetensors`;
    const whole = await keptStatistics(path("whole"), values(dims), set);
    // Stopped in the second, the third and the last block of 512.
    for (const at of [700, 1500, 1990]) {
      const stop = new AbortController();
      const onProgress = (done: number) => done >= at - 96 && stop.abort(stopped);
      await assertRejects(
        () => keptStatistics(path("pieces"), values(dims), set, { onProgress, signal: stop.signal }),
        Problem,
        "stopped",
      );
    }
    const done: number[] = [];
    assertEquals(await keptStatistics(path("pieces"), values(dims), set, { onProgress: (at) => done.push(at) }), whole);
    assertEquals([done[0]! > 1536, done.at(-1)], [true, 2000], "it went on");
    await Deno.writeTextFile(`${path("damaged")}.begun`, "half");
    await keptStatistics(path("damaged"), values(dims), set, { saveEverySeconds: 0 });
    const bytes = await Deno.readFile(path("whole"));
    for (const name of ["pieces", "damaged"]) assertEquals(await Deno.readFile(path(name)), bytes);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 3, "what was begun is gone");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
