import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { locate } from "../../lib/engine/locate.ts";
import { finished, openWorkspace, type Workspace } from "./workspace.ts";

/**
 * The command as a person runs it, on real data and the committed teacher, cut
 * down by --limit. Each workspace has its own kept stages, so that "twice" means
 * computed twice.
 */
const native = await locate() !== undefined;

function table4({ command }: Workspace, ...args: string[]) {
  return command(["run", "table4", "--out", "out", ...args]);
}

async function finish(workspace: Workspace, ...args: string[]) {
  return finished(await table4(workspace, ...args).output());
}

async function figuresOf({ cwd }: Workspace): Promise<string> {
  return await Deno.readTextFile(join(cwd, "out", "figures.json"));
}

for (const engine of ["wasm", ...(native ? ["native"] : [])]) {
  Deno.test(`table4 runs end to end on ${engine}, writes every file, and skips what is unchanged`, async () => {
    const workspace = await openWorkspace(), { cwd } = workspace;
    const args = ["--limit", "64", "--engine", engine];
    const first = await finish(workspace, ...args);
    assertEquals(first.code, 0, first.err);
    const pictures = ["nfe-unguided.svg", "loss.svg", "samples-unguided.png"];
    for (const name of ["table.md", "resolved.yaml", "provenance.json", ...pictures]) {
      assert((await Deno.stat(join(cwd, "out", name))).size > 0, name);
    }
    const losses: Record<string, [number, number][]> = JSON.parse(
      await Deno.readTextFile(join(cwd, "out", "losses.json")),
    );
    assertEquals(Object.keys(losses), ["FM", "SD-FM", "NFM"]);
    for (const curve of Object.values(losses)) {
      assertEquals(curve.at(-1)![0], 64);
      for (const [, loss] of curve) assert(loss > 0);
    }
    const sheets = JSON.parse(await Deno.readTextFile(join(cwd, "out", "pictures.json")));
    const panels = [31, 15, 7].flatMap((nfe) => ["FM", "SD-FM", "NFM"].map((row) => `${row}, heun ${nfe}`));
    assertEquals(sheets, { "samples-unguided.png": panels });
    const figures = JSON.parse(await figuresOf(workspace));
    for (const row of ["FM", "SD-FM", "NFM"]) {
      for (const nfe of [31, 15, 7]) {
        const figure = figures.figures[`${row} / 64 / heun ${nfe} / unguided / frechet`];
        assert(Number.isFinite(figure?.value) && figure.value > 0, `${row} at NFE ${nfe}`);
      }
    }
    assertEquals(figures.figures["SD-FM / labelMismatch"].value, 0);
    const again = await finish(workspace, ...args);
    assertEquals(again.code, 0, again.err);
    assertStringIncludes(again.err, "every stage is unchanged");
    assertEquals(JSON.parse(await figuresOf(workspace)), figures);
    await Deno.writeTextFile(join(cwd, "out", "mine.svg"), "<svg/>");
    const less = await finish(workspace, ...args, "evaluation.metrics=[frechet]");
    assertEquals(less.code, 0, less.err);
    const left = (await names(join(cwd, "out"))).filter((name) => /loss|samples|mine/.test(name)).sort();
    assertEquals(
      left,
      ["mine.svg", "samples-unguided.png"],
      "what this run does not draw is gone, what is not ours stays",
    );
    await workspace.remove();
  });
}

Deno.test("table4 --dry-run lists every stage with its reason and time, and writes nothing", async () => {
  const workspace = await openWorkspace(), { cwd } = workspace;
  const before = await names(cwd);
  const { code, out, err } = await finish(workspace, "--dry-run");
  assertEquals(code, 0, err);
  for (
    const stage of ["coupling SD-FM", "student NFM seed 0", "evaluation FM seed 0 (12 of 12)", "teacher report NFM"]
  ) {
    assertStringIncludes(out, stage);
  }
  assertStringIncludes(out, "not made yet");
  assertEquals(await names(cwd), before);
  await workspace.remove();
});

Deno.test("table4 says before it computes anything what would keep it from writing its results", async () => {
  const workspace = await openWorkspace(), { cwd } = workspace;
  await Deno.writeTextFile(join(cwd, "file"), "");
  const { code, err } = await workspace.run("run", "table4", "--limit", "8", "--engine", "wasm", "--out", "file/out");
  assertEquals([code, err.trimEnd().split("\n").length], [74, 1], err);
  assertStringIncludes(err, "Cannot write file/out");
  assertEquals(await names(join(cwd, ".nfm")), []);
  await workspace.remove();
});

Deno.test("table4 refuses to change a committed teacher by an override alone", async () => {
  const workspace = await openWorkspace();
  const { code, err } = await finish(workspace, "teacher.noiseStd=0.3", "--dry-run");
  assertEquals(code, 2, err);
  assertStringIncludes(err, "noiseStd was 0.2, is 0.3");
  assertStringIncludes(err, "--teacher train");
  await workspace.remove();
});

Deno.test({
  name: "table4 stopped in the middle of a training and started again gives the same bytes as an undisturbed run",
  ignore: !native || Deno.build.os === "windows",
  async fn() {
    const args = [
      "--limit",
      "1024",
      "--engine",
      "native",
      "evaluation.samplers=[{method: heun, nfe: 3}]",
      "evaluation.samples=64",
    ];
    const undisturbed = await openWorkspace(), disturbed = await openWorkspace();
    const whole = await finish(undisturbed, ...args);
    assertEquals(whole.code, 0, whole.err);

    const child = table4(disturbed, ...args).spawn();
    await untilTraining(disturbed.cwd);
    child.kill("SIGTERM");
    const { code, stderr } = await child.output();
    assertEquals(code, 75, new TextDecoder().decode(stderr));
    assertStringIncludes(new TextDecoder().decode(stderr), "run the same command to continue");
    const resumed = await finish(disturbed, ...args);
    assertEquals(resumed.code, 0, resumed.err);
    assertStringIncludes(resumed.err, "begun before, goes on from there");
    assertEquals(await figuresOf(disturbed), await figuresOf(undisturbed));
    await Promise.all([undisturbed.remove(), disturbed.remove()]);
  },
});

/** Waits until a student has logged a step. */
async function untilTraining(cwd: string): Promise<void> {
  const students = join(cwd, ".nfm/stages/student");
  for (let tries = 0; tries < 3000; tries++) {
    for (const id of await names(students)) {
      const log = await Deno.stat(join(students, id, "loss.jsonl")).catch(() => undefined);
      if (log && log.size > 0) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("no training began within a minute");
}

async function names(folder: string): Promise<string[]> {
  return await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch(() => []);
}
