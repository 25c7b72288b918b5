import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";

/**
 * The command as a person runs it, on real data and the committed teacher, cut
 * down by --limit. Each workspace has its own kept stages, so that "twice" means
 * computed twice.
 */
const project = fileURLToPath(new URL("../../", import.meta.url));
const native = await locate() !== undefined;

async function workspace(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "nfm-test-" });
  for (const name of ["experiments", "results", "deno.lock"]) {
    await Deno.symlink(join(project, name), join(folder, name));
  }
  return folder;
}

function table4(cwd: string, ...args: string[]) {
  const command = ["run", "--quiet", "-A", "--config", join(project, "deno.json"), join(project, "lib/cli.ts")];
  return new Deno.Command(Deno.execPath(), {
    args: [...command, "run", "table4", "--out", "out", ...args],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

async function finish(cwd: string, ...args: string[]) {
  const { code, stdout, stderr } = await table4(cwd, ...args).output();
  return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
}

async function figuresOf(cwd: string): Promise<string> {
  return await Deno.readTextFile(join(cwd, "out", "figures.json"));
}

for (const engine of ["wasm", ...(native ? ["native"] : [])]) {
  Deno.test(`table4 runs end to end on ${engine}, writes every file, and skips what is unchanged`, async () => {
    const cwd = await workspace();
    const args = ["--limit", "64", "--engine", engine];
    const first = await finish(cwd, ...args);
    assertEquals(first.code, 0, first.err);
    for (
      const name of ["table.md", "resolved.yaml", "provenance.json", "nfe-unguided.svg", "samples-unguided.png"]
    ) {
      assert((await Deno.stat(join(cwd, "out", name))).size > 0, name);
    }
    const pictures = JSON.parse(await Deno.readTextFile(join(cwd, "out", "pictures.json")));
    const names = [31, 15, 7].flatMap((nfe) => ["FM", "SD-FM", "NFM"].map((row) => `${row}, heun ${nfe}`));
    assertEquals(pictures, { "samples-unguided.png": names });
    const figures = JSON.parse(await figuresOf(cwd));
    for (const row of ["FM", "SD-FM", "NFM"]) {
      for (const nfe of [31, 15, 7]) {
        const figure = figures.figures[`${row} / 64 / heun ${nfe} / unguided / frechet`];
        assert(Number.isFinite(figure?.value) && figure.value > 0, `${row} at NFE ${nfe}`);
      }
    }
    assertEquals(figures.figures["SD-FM / labelMismatch"].value, 0);
    const again = await finish(cwd, ...args);
    assertEquals(again.code, 0, again.err);
    assertStringIncludes(again.err, "every stage is unchanged");
    assertEquals(JSON.parse(await figuresOf(cwd)), figures);
    await Deno.remove(cwd, { recursive: true });
  });
}

Deno.test("table4 --dry-run lists every stage with its reason and time, and writes nothing", async () => {
  const cwd = await workspace();
  const before = await names(cwd);
  const { code, out, err } = await finish(cwd, "--dry-run");
  assertEquals(code, 0, err);
  for (
    const stage of ["coupling SD-FM", "student NFM seed 0", "evaluation FM seed 0 (12 of 12)", "teacher report NFM"]
  ) {
    assertStringIncludes(out, stage);
  }
  assertStringIncludes(out, "not made yet");
  assertEquals(await names(cwd), before);
  await Deno.remove(cwd, { recursive: true });
});

Deno.test("table4 refuses to change a committed teacher by an override alone", async () => {
  const cwd = await workspace();
  const { code, err } = await finish(cwd, "teacher.noiseStd=0.3", "--dry-run");
  assertEquals(code, 2, err);
  assertStringIncludes(err, "noiseStd was 0.2, is 0.3");
  assertStringIncludes(err, "--teacher train");
  await Deno.remove(cwd, { recursive: true });
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
    const undisturbed = await workspace(), disturbed = await workspace();
    const whole = await finish(undisturbed, ...args);
    assertEquals(whole.code, 0, whole.err);

    const child = table4(disturbed, ...args).spawn();
    await untilTraining(disturbed);
    child.kill("SIGTERM");
    const { code, stderr } = await child.output();
    assertEquals(code, 75, new TextDecoder().decode(stderr));
    assertStringIncludes(new TextDecoder().decode(stderr), "run the same command to continue");
    const resumed = await finish(disturbed, ...args);
    assertEquals(resumed.code, 0, resumed.err);
    assertStringIncludes(resumed.err, "begun before, goes on from there");
    assertEquals(await figuresOf(disturbed), await figuresOf(undisturbed));
    for (const cwd of [undisturbed, disturbed]) await Deno.remove(cwd, { recursive: true });
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
