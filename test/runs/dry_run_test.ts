import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The plan of the paper's scale, on a machine that has none of what it needs. */
const project = fileURLToPath(new URL("../../", import.meta.url));

/** A folder with the recipes alone: no images, no weights, no engine. */
async function bareWorkspace(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "nfm-dry-" });
  for (const name of ["experiments", "ablations", "deno.lock"]) {
    await Deno.symlink(join(project, name), join(folder, name));
  }
  return folder;
}

/** Deno's own cache, which is to stay where it is while the engine's is hidden. */
const { denoDir } = JSON.parse(
  new TextDecoder().decode((await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output()).stdout),
);

async function dryRun(cwd: string, experiment: string, ...args: string[]): Promise<string> {
  const command = ["run", "--quiet", "-A", "--config", join(project, "deno.json"), join(project, "lib/cli.ts")];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...command, "run", experiment, "--scale", "paper", "--dry-run", ...args],
    cwd,
    env: { NO_COLOR: "1", DENO_DIR: denoDir, XDG_CACHE_HOME: join(cwd, "none"), NFM_LIBTENSORFLOW: "" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the paper's Table 4 is planned without images, weights or engine, which it says how to get", async () => {
  const cwd = await bareWorkspace();
  const plan = await dryRun(cwd, "table4");
  assertMatch(plan, /missing +imageNet 64x64, train: .*train\/n01440764\/\*\.JPEG.*data\.root=FOLDER/);
  assertMatch(plan, /missing +Inception weights: data\/pt_inception-2015-12-05-6726825d\.pth: .*pytorch-fid/);
  assertMatch(
    plan,
    /missing +teacher: results\/teachers\/imagenet-64\/teacher\.safetensors: .*deno task teacher table4/,
  );
  assertMatch(plan, /missing +native engine: fetched by the first run/);
  assertMatch(plan, /takes +63 GB of main memory: the images of the semidiscrete coupling/);
  assertMatch(plan, /teacher TF-6×2\+2×26-1024\/2 +│ 823,042,240 +│ 1024 +│ 1\.92 TFLOP +│ 5\.7\d TFLOP/);
  assertMatch(plan, /student SiT-28×1152\/4 +│ 674,890,032 +│ 256 +│ 237 GFLOP +│ 712 GFLOP/);
  assertMatch(plan, /student FM seed 0 +│ run +│ not made yet +│ 191 EFLOP +│ [\d,]+ h +│ 268 h +│ 134 h/);
  assertStringIncludes(plan, "H100 TF32: 40% of 494.7 TFLOP/s");
  assertMatch(plan, /wasm engine: \d+% of [\d.]+ GFLOP\/s, the product of two matrices measured now/);
  assertEquals((await Array.fromAsync(Deno.readDir(cwd))).length, 3);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("in latent space it counts the latents and says where the autoencoder's weights belong", async () => {
  const cwd = await bareWorkspace();
  const plan = await dryRun(cwd, "table6");
  assertMatch(plan, /missing +autoencoder: results\/autoencoders\/sd-vae-ft-mse\/autoencoder\.safetensors: /);
  assertMatch(plan, /takes +42\.8 GB on disk: latents, both orientations/);
  assertMatch(plan, /student SiT-28×1152\/2 +│ 674,816,272 +│ 256/);
  assertMatch(plan, /latents +│ run +│ once, then kept +│ 712 PFLOP/);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("a table of teachers trains all of them where none is there", async () => {
  const cwd = await bareWorkspace();
  const plan = await dryRun(cwd, "table9");
  for (const parameters of ["462,232,320", "466,286,784", "823,042,240", "1,838,543,040"]) {
    assertStringIncludes(plan, parameters);
  }
  assertEquals(plan.match(/│ teacher (?!TF|report)[\w ]+│ run/g)?.length, 5);
  await Deno.remove(cwd, { recursive: true });
});
