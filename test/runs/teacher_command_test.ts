import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("teacher trains what the recipe describes, keeps it for a run to use, and leaves it alone the next time", async () => {
  const cwd = await Deno.makeTempDir({ prefix: "nfm-test-" });
  for (const name of ["experiments", "results", "deno.lock"]) {
    await Deno.symlink(join(project, name), join(cwd, name));
  }
  const small = ["data.images=600", "teacher.samples=256", "teacher.warmupSteps=0", "teacher.pretrained=kept"];
  const cli = async (...args: string[]) => {
    const command = ["run", "--quiet", "-A", "--config", join(project, "deno.json"), join(project, "lib/cli.ts")];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...command, ...args, "blocks=[1, 1]", ...small],
      cwd,
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals(code, 0, said);
    return said;
  };
  assertStringIncludes(await cli("teacher", "table4"), "written to kept/");
  const card = await Deno.readTextFile(join(cwd, "kept/card.json"));
  const { nllTrain, nllTest, parameters } = JSON.parse(card);
  // η = 0.2: ½ + ln η is the floor.
  for (const nll of [nllTrain, nllTest]) assert(nll > 0.5 + Math.log(0.2) && nll < 1, `NLL ${nll}`);
  assert(parameters > 0);
  assertStringIncludes(await cli("teacher", "table4"), "--force trains it again");
  assertEquals(await Deno.readTextFile(join(cwd, "kept/card.json")), card);
  const run = await cli("run", "table4", "--limit", "32", "--out", "out", "~rows.FM", "~rows.SD-FM");
  assertStringIncludes(run, "student NFM");
  assertStringIncludes(await cli("teacher", "table4", "--force"), "written to kept/");
  await Deno.remove(cwd, { recursive: true });
});
