import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { openWorkspace } from "./workspace.ts";

Deno.test("teacher trains what the recipe describes, keeps it for a run to use, and leaves it alone the next time", async () => {
  const { cwd, run, remove } = await openWorkspace();
  const small = ["data.images=600", "teacher.samples=256", "teacher.warmupSteps=0", "teacher.pretrained=kept"];
  const cli = async (...args: string[]) => {
    const { code, err } = await run(...args, "blocks=[1, 1]", ...small);
    assertEquals(code, 0, err);
    return err;
  };
  assertStringIncludes(await cli("teacher", "table4"), "written to kept/");
  const card = await Deno.readTextFile(join(cwd, "kept/card.json"));
  const { nllTrain, nllTest, parameters } = JSON.parse(card);
  // η = 0.2: ½ + ln η is the floor.
  for (const nll of [nllTrain, nllTest]) assert(nll > 0.5 + Math.log(0.2) && nll < 1, `NLL ${nll}`);
  assert(parameters > 0);
  assertStringIncludes(await cli("teacher", "table4"), "--force trains it again");
  assertEquals(await Deno.readTextFile(join(cwd, "kept/card.json")), card);
  const used = await cli("run", "table4", "--limit", "32", "--out", "out", "~rows.FM", "~rows.SD-FM");
  assertStringIncludes(used, "student NFM");
  await Deno.writeTextFile(join(cwd, "kept/recipe.yaml"), "data: [");
  const damaged = await run("run", "table4", "--dry-run", "blocks=[1, 1]", ...small);
  assertEquals([damaged.code, damaged.err.includes("kept/recipe.yaml:2:1: not YAML")], [2, true], damaged.err);
  assertStringIncludes(await cli("teacher", "table4", "--force"), "written to kept/");
  await remove();
});
