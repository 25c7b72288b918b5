import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";
import { listAblations, loadRecipe } from "../../lib/recipes/load.ts";
import { rowRecipes } from "../../lib/recipes/rows.ts";
import { figureKey, readFigures, samplerName } from "../../lib/results/figures.ts";
import { guidanceName } from "../../lib/runs/gather.ts";
import { readLossLog } from "../../lib/training/loss_log.ts";
import { finished, openWorkspace } from "./workspace.ts";

Deno.test("every ablation runs end to end at a tiny limit; what two have in common is one student, what differs learns otherwise", async () => {
  const { cwd, command, remove } = await openWorkspace();
  // One process for all: they share the engine's recordings.
  const script = fileURLToPath(new URL("every_ablation.ts", import.meta.url));
  const native = await locate() !== undefined;
  // The embedded engine has no bfloat16, and says so.
  const names = (await listAblations()).filter((name) => native || name !== "products");
  const { code, err } = finished(await command([native ? "native" : "wasm", ...names], script).output());
  assertEquals(code, 0, err);
  const students = new Set<string>(), unlike = new Set<string>();
  for (const ablation of names) {
    const { recipe } = await loadRecipe(`ablations/${ablation}`, "quick");
    const folder = join(cwd, ".nfm/results/ablations", ablation);
    const [out] = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const { figures } = await readFigures(join(folder, out!, "figures.json"));
    for (const { name: row, coupling, student, teacher } of rowRecipes(recipe)) {
      students.add(JSON.stringify({ coupling, student, teacher }));
      // No pair is used again within three steps.
      unlike.add(JSON.stringify({ coupling, student: { ...student, pairUses: undefined }, teacher }));
      for (const solver of recipe.evaluation.samplers) {
        for (const kind of recipe.evaluation.guidance) {
          const key = { row, checkpoint: 96, sampler: samplerName(solver), guidance: guidanceName(kind) };
          const name = figureKey({ ...key, metric: "frechet" });
          assert(Number.isFinite(figures[name]?.value), `${ablation}: ${name}`);
        }
      }
    }
  }
  // Three steps: the first knows neither t nor label, since the student starts at 0.
  const folder = join(cwd, ".nfm/stages/student");
  const logs = await Array.fromAsync(Deno.readDir(folder), ({ name }) => readLossLog(join(folder, name, "loss.jsonl")));
  const losses = logs.map((log) => log.at(-1)!.loss);
  assertEquals([losses.length, new Set(losses).size], [students.size, unlike.size], `${losses}`);
  await remove();
});
