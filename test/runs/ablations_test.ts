import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { locate } from "../../lib/engine/locate.ts";
import { listAblations, loadRecipe } from "../../lib/recipes/load.ts";
import { figureKey, readFigures, samplerName } from "../../lib/results/figures.ts";
import { guidanceName } from "../../lib/runs/gather.ts";

const project = fileURLToPath(new URL("../../", import.meta.url));

Deno.test("every ablation runs end to end at a tiny limit, and no two of its rows are the same", async () => {
  const cwd = await Deno.makeTempDir({ prefix: "nfm-test-" });
  for (const name of ["ablations", "experiments", "results", "deno.lock"]) {
    await Deno.symlink(join(project, name), join(cwd, name));
  }
  // One process for all: they share the engine's recordings, and what they have in common is made once.
  const script = fileURLToPath(new URL("every_ablation.ts", import.meta.url));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "--config", join(project, "deno.json"), script, await locate() ? "native" : "wasm"],
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  for (const ablation of await listAblations()) {
    const { recipe: { rows, evaluation } } = await loadRecipe(`ablations/${ablation}`, "quick");
    const folder = join(cwd, ".nfm/results/ablations", ablation);
    const [out] = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const { figures } = await readFigures(join(folder, out!, "figures.json"));
    const value = (key: Parameters<typeof figureKey>[0]) => figures[figureKey(key)]?.value;
    const measured = evaluation.samplers.flatMap((solver) =>
      evaluation.guidance.flatMap((kind) =>
        Object.keys(rows).map((row) =>
          value({
            row,
            checkpoint: 32,
            sampler: samplerName(solver),
            guidance: guidanceName(kind),
            metric: "frechet",
          })
        )
      )
    );
    assert(measured.every((distance) => Number.isFinite(distance)), `${ablation}: ${measured}`);
    // A training of one step tells rows apart by its loss, an evaluation solvers by their distance.
    const losses = Object.keys(rows).map((row) => value({ row, checkpoint: 32, metric: "loss" }));
    const telling = evaluation.metrics.includes("loss") ? losses : measured;
    assertEquals(new Set(telling).size, telling.length, `${ablation}: ${telling}`);
  }
  await Deno.remove(cwd, { recursive: true });
});
