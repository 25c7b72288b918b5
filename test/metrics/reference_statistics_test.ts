import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { frechetReference } from "../../lib/metrics/frechet.ts";
import { keptStatistics, readPublishedStatistics } from "../../lib/metrics/reference_statistics.ts";
import { statisticsOf } from "../../lib/metrics/statistics.ts";

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

Deno.test("keptStatistics() computes once, keeps 48 bits, and notices damage", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/a/reference.safetensors`, dims = 5;
    const computed = statisticsOf(createRng(1).normal(40 * dims).map((x) => 100 + x / 3), dims);
    let calls = 0;
    const compute = () => Promise.resolve((calls++, computed));
    const first = await keptStatistics(path, compute), second = await keptStatistics(path, compute);
    assertEquals(calls, 1);
    assertEquals(second, first);
    assertEquals([first.count, first.dims], [40, dims]);
    for (const part of ["mean", "covariance"] as const) {
      first[part].forEach((x, i) => assertAlmostEquals(x, computed[part][i]!, 2 ** -47 * Math.abs(computed[part][i]!)));
    }
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(path, bytes);
    await assertRejects(() => keptStatistics(path, compute), Problem, "does not match its digest");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
