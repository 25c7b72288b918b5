import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";
import { listExperiments, loadRecipe } from "../../lib/recipes/load.ts";
import { readFigures } from "../../lib/results/figures.ts";
import { openWorkspace } from "./workspace.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("every experiment has a task of its name, a README and, where the paper has figures, those", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(project, "deno.json")));
  for (const name of await listExperiments()) {
    assert(tasks[name]?.command.endsWith(` run ${name}`), `${name} has no task in deno.json`);
    const readme = await Deno.readTextFile(`experiments/${name}/README.md`);
    for (const part of ["**Claim**", "**Command**", "**Cost**", "**What we saw"]) {
      assert(readme.includes(part), `experiments/${name}/README.md says nothing under ${part}`);
    }
    assert(!readme.includes("not measured yet"), `experiments/${name}/README.md is not finished`);
  }
});

Deno.test({
  name: "every experiment runs end to end at a tiny limit, and a second run of all finds everything made",
  async fn() {
    const { cwd, run, remove } = await openWorkspace();
    const all = async () => await run("all", "--limit", "48", "--engine", await locate() ? "native" : "wasm");
    const first = await all();
    assertEquals(first.code, 0, first.err);
    for (const name of await listExperiments()) {
      const folder = join(cwd, ".nfm/results", name);
      const [out] = await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name);
      const { figures } = await readFigures(join(folder, out!, "figures.json"));
      const { recipe } = await loadRecipe(name, "quick");
      for (const row of Object.keys(recipe.rows)) {
        assert(Object.keys(figures).some((key) => key.startsWith(row)), `${name} says nothing of ${row}`);
      }
    }
    const again = await all();
    assertEquals(again.code, 0, again.err);
    const unchanged = again.err.split("every stage is unchanged").length - 1;
    assertEquals(unchanged, (await listExperiments()).length, again.err);
    await remove();
  },
});
