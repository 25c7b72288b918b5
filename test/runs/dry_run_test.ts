import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { openWorkspace, type Workspace } from "./workspace.ts";

/** Deno's own cache, which is to stay where it is while the engine's is hidden. */
const { denoDir } = JSON.parse(
  new TextDecoder().decode((await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()).stdout),
);

/** The plan of the paper's scale, on a machine that has none of what it needs: no images, no weights, no engine. */
const openBare = () =>
  openWorkspace(
    ["experiments", "ablations", "deno.lock"],
    (cwd) => ({ DENO_DIR: denoDir, XDG_CACHE_HOME: join(cwd, "none"), NFM_LIBTENSORFLOW: "" }),
  );

async function dryRun({ run }: Workspace, experiment: string, ...args: string[]): Promise<string> {
  const { code, out, err } = await run("run", experiment, "--scale", "paper", "--dry-run", ...args);
  assertEquals(code, 0, err);
  return out;
}

Deno.test("the paper's Table 4 is planned without images, weights or engine, which it says how to get", async () => {
  const bare = await openBare();
  const plan = await dryRun(bare, "table4");
  assertMatch(plan, /missing +imageNet 64x64, train: .*train\/n01440764\/\*\.JPEG.*data\.root=FOLDER/);
  assertMatch(plan, /missing +Inception weights: data\/pt_inception-2015-12-05-6726825d\.pth: .*pytorch-fid/);
  assertMatch(
    plan,
    /missing +teacher: results\/teachers\/imagenet-64\/teacher\.safetensors: .*deno task teacher table4/,
  );
  assertMatch(plan, /missing +native engine: fetched by the first run/);
  assertMatch(plan, /takes +63 GB of main memory: the images of the semidiscrete coupling/);
  assertMatch(plan, /takes +4\.83 GB of main memory: the covariance of the teacher's z/);
  assertMatch(plan, /teacher TF-6×2\+2×26-1024\/2 +│ 823,042,240 +│ 1024 +│ 1\.92 TFLOP +│ 5\.7\d TFLOP/);
  assertMatch(plan, /student SiT-28×1152\/4 +│ 674,890,032 +│ 256 +│ 237 GFLOP +│ 712 GFLOP/);
  // Guidance is two passes over each batch that is drawn.
  assertMatch(plan, /student SiT-28×1152\/4 +│.*│ 10\.7 GB │/);
  const unguided = await dryRun(bare, "table4", "evaluation.guidance=[unguided]");
  assertMatch(unguided, /student SiT-28×1152\/4 +│.*│ 7\.98 GB │/);
  assertMatch(plan, /student FM seed 0 +│ run +│ not made yet +│ 191 EFLOP +│ [\d,]+ h +│ 1,323 h/);
  assertStringIncludes(plan, "H100: 60% of 66.9 TFLOP/s in float32, 23% of 989.4 in bfloat16");
  assertMatch(plan, /wasm engine: \d+% of [\d.]+ GFLOP\/s, the product of two matrices measured now/);
  assertEquals((await Array.fromAsync(Deno.readDir(bare.cwd))).length, 3);
  // A student and its teacher: 191 + 517 EFLOP, of which pairs that serve four steps each take a quarter; the teacher
  // encodes in float32 whatever the student is trained in.
  assertMatch(plan, /student NFM seed 0 +│ run +│ not made yet +│ 708 EFLOP/);
  const faster = await dryRun(bare, "table4", "+student.pairUses=4", "+student.training.products=bfloat16");
  assertMatch(faster, /student NFM seed 0 +│[^│]+│[^│]+│ 320 EFLOP +│[^│]+│ 1,12\d h/);
  assertMatch(faster, /student FM seed 0 +│[^│]+│[^│]+│ 191 EFLOP +│[^│]+│ 233 h/);
  await bare.remove();
});

Deno.test("in latent space it counts the latents and says where the autoencoder's weights belong", async () => {
  const bare = await openBare();
  const plan = await dryRun(bare, "table6");
  assertMatch(plan, /missing +autoencoder: results\/autoencoders\/sd-vae-ft-mse\/autoencoder\.safetensors: /);
  assertMatch(plan, /takes +42\.8 GB on disk: latents, both orientations/);
  assertMatch(plan, /student SiT-28×1152\/2 +│ 674,816,272 +│ 256/);
  assertMatch(plan, /latents +│ run +│ once, then kept +│ 712 PFLOP/);
  await bare.remove();
});

Deno.test("a trained feature network need not be there for a plan", async () => {
  const bare = await openBare();
  const plan = await dryRun(bare, "table4", "features={pretrained: nowhere}");
  assertMatch(plan, /missing +feature network: nowhere\/features\.safetensors: train it with/);
  await bare.remove();
});

Deno.test("a table of teachers trains all of them where none is there", async () => {
  const bare = await openBare();
  const plan = await dryRun(bare, "table9");
  for (const parameters of ["462,232,320", "466,286,784", "823,042,240", "1,838,543,040"]) {
    assertStringIncludes(plan, parameters);
  }
  assertEquals(plan.match(/│ teacher (?!TF|report)[\w ]+│ run/g)?.length, 5);
  await bare.remove();
});
