import { assertEquals } from "@std/assert";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { rowRecipes } from "../../lib/recipes/rows.ts";
import { searchOf, writeStageFigures } from "../../lib/runs/stage_figures.ts";
import type { CellPlan } from "../../lib/runs/plan.ts";
import { guidanceNote, searchLog } from "../../lib/runs/report.ts";
import { goldenSection } from "../../lib/sampling/golden_section.ts";

for (
  const [name, scale, guided] of [["table4", "paper", true], ["table8", "quick", true], ["table4", "quick", false]]
) {
  Deno.test(`the caption of ${name} at ${scale} says ${guided ? "" : "nothing of "}how guidance counts in NFE`, async () => {
    const { recipe } = await loadRecipe(name as string, scale as "quick" | "paper");
    const note = guidanceNote(recipe, rowRecipes(recipe).map((row) => ({ row })));
    assertEquals(note.includes("A guided evaluation is two passes of the network and counts once in NFE."), guided);
  });
}

Deno.test("the log of searches has null where samples were not finite", async () => {
  const { recipe } = await loadRecipe("table4", "quick"), folder = await Deno.makeTempDir();
  const found = await goldenSection((w) => Promise.resolve(w > 2 ? NaN : w), { iterations: 2 });
  await writeStageFigures(folder, { figures: {}, search: searchOf(found) });
  const cell = { checkpoint: 64, sampler: recipe.evaluation.samplers[0], guidance: "search", plan: { folder } };
  const student = { seed: 0, plan: { folder }, cells: [cell as CellPlan] };
  const row = { ...rowRecipes(recipe)[0]!, name: "FM" };
  assertEquals(await searchLog([{ row, students: [student as never] }]), {
    "FM seed 0 at 64, heun 31": { weight: 1.7, probes: [[2.1459, null], [2.8541, null], [1.7082, 1.708]] },
  });
  await Deno.remove(folder, { recursive: true });
});
