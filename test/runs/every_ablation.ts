// Runs ablations, cut by --limit, in the folder that it is started in: `every_ablation.ts ENGINE NAME…`. One whose teachers
// are not all committed trains them.
import { main } from "../../lib/cli.ts";
import { exists } from "../../lib/core/files.ts";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { rowRecipes } from "../../lib/recipes/rows.ts";

const [engine, ...names] = Deno.args;
for (const name of names) {
  const { recipe } = await loadRecipe(`ablations/${name}`, "quick");
  const there = await Promise.all(rowRecipes(recipe).map(({ teacher }) => exists(teacher.pretrained)));
  const teachers = there.every(Boolean) ? [] : ["--teacher", "train"];
  await main(["ablate", name, "--limit", "96", "--quiet", "--engine", engine!, ...teachers]);
}
