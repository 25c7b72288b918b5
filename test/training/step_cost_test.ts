import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";
import { denoiseWork, encodeWork, imagesWork, latentsWork, velocityWork } from "../../lib/models/cost.ts";
import { autoencoderKl } from "../../lib/models/autoencoder_kl.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { inceptionWork } from "../../lib/metrics/feature_cost.ts";
import { defaultOptimizer as optimizer } from "../../lib/training/optimizer.ts";
import { stepCost, studentTrainee, teacherTrainee } from "../../lib/training/step_cost.ts";

const pixels = [3, 64, 64] as const, latents = [4, 32, 32] as const, classes = 1000;
const xl = { width: 1152, depth: 28, heads: 16 };
const blocks = [2, 2, 2, 2, 2, 2, 26, 26];

Deno.test("the paper's students have the parameters and the operations that SiT publishes", async () => {
  const step = { batch: 256, microBatches: 256, optimizer };
  for (const [patch, shape, parameters] of [[4, pixels, 674_890_032], [2, latents, 674_816_272]] as const) {
    const student = sit({ patch, ...xl }, shape, classes);
    const cost = await stepCost(studentTrainee(student, shape), step);
    assertEquals(cost.parameters, parameters);
    // 118.6 G multiply-adds: SiT, and DiT before it, publish these as "Gflops".
    const { flops } = await velocityWork(student, shape);
    assertAlmostEquals(flops / 2e9, 118.6, 0.2);
    assertAlmostEquals(cost.flops / flops, 3, 0.01);
    assertEquals([cost.stateBytes, cost.gradientBytes], [16 * parameters, 4 * parameters]);
  }
});

Deno.test("the paper's teachers have the sizes of Table 9, in millions", async () => {
  // 460 in the table for the first two: without their position embeddings.
  const published = [[768, 4, 462.2], [768, 2, 466.3], [1024, 2, 823], [1536, 2, 1838.5]] as const;
  for (const [width, patch, millions] of published) {
    const flow = tarflow({ patch, width, headWidth: 64, blocks }, pixels, classes);
    const cost = await stepCost(teacherTrainee(flow, pixels), { batch: 1, microBatches: 1, optimizer });
    assertAlmostEquals(cost.parameters / 1e6, millions, 0.06);
    const { flops } = await encodeWork(flow, pixels);
    const tokens = (64 / patch) ** 2, layers = blocks.reduce((sum, n) => sum + n, 0);
    // Four products of width² and two of 4·width² a layer and token; scores and their use: twice tokens · width each.
    const expected = layers * tokens * (2 * 12 * width ** 2 + 4 * tokens * width);
    assertAlmostEquals(flops / expected, 1, 0.01);
    assertAlmostEquals(cost.flops / flops, 3, 0.01);
    // The score step has the gradient of the input alone.
    assertAlmostEquals(
      (await denoiseWork(flow, pixels)).flops / flops,
      2 + tokens * 4 / (24 * width + 4 * tokens),
      0.02,
    );
  }
  const even = tarflow({ patch: 2, width: 768, headWidth: 64, blocks: Array(8).fill(8) }, pixels, classes);
  const { parameters } = await stepCost(teacherTrainee(even, pixels), { batch: 1, microBatches: 1, optimizer });
  assertAlmostEquals(parameters / 1e6, 466.3, 0.05);
});

Deno.test("frozen networks have the operations that are known of them", async () => {
  assertAlmostEquals((await inceptionWork()).flops / 2e9, 5.71, 0.02);
  const autoencoder = autoencoderKl({}, [3, 256, 256]);
  const [encode, decode] = [await latentsWork(autoencoder, [3, 256, 256]), await imagesWork(autoencoder)];
  assertAlmostEquals(encode.flops / 2e9, 136.4, 1);
  assertAlmostEquals(decode.flops / 2e9, 311, 2);
  // As many for each of several.
  assertEquals((await latentsWork(autoencoder, [3, 256, 256], 3)).flops, 3 * encode.flops);
});

Deno.test("micro-batches take the memory of their samples alone", async () => {
  const trainee = studentTrainee(sit({ patch: 4, width: 64, depth: 6, heads: 2 }, [3, 32, 32], 10), [3, 32, 32]);
  const peak = async (batch: number, microBatches: number) =>
    (await stepCost(trainee, { batch, microBatches, optimizer })).peakBytes;
  const [whole, halves, quarters] = [await peak(64, 1), await peak(64, 2), await peak(64, 4)];
  assert(quarters < 0.6 * halves && halves < 0.6 * whole, `${[whole, halves, quarters]}`);
  assertEquals(await peak(64, 4), await peak(32, 2));
});

const native = await locate() !== undefined && Deno.build.os === "linux";
for (const way of [["1"], ["4"], ["1", "recompute"]]) {
  Deno.test({
    name: `the counted peak is what a step adds to the resident memory (micro-batches: ${way.join(", ")})`,
    ignore: !native,
    async fn() {
      const script = fileURLToPath(new URL("./measured_step.ts", import.meta.url));
      const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "-A", script, ...way],
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const { counted, added } = JSON.parse(new TextDecoder().decode(stdout));
      // Threads and the allocator take theirs, about 100 MB, whatever the step.
      assert(added > 0.75 * counted && added < 1.25 * counted + 200e6, `${added} added, ${counted} counted`);
    },
  });
}
