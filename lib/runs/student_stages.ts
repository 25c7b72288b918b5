import type { Coupling } from "../couplings/types.ts";
import type { ResolvedRecipe } from "../recipes/types.ts";
import { evaluateCell, type HeldOut } from "./cell.ts";
import type { CellPlan, RowPlan, StudentPlan } from "./plan.ts";
import type { Run } from "./run.ts";
import type { StageFigures } from "./stage_figures.ts";
import { readStage } from "./stages.ts";
import { loadStudent, trainStudent } from "./student.ts";

/** Trains one seed's student of a row and evaluates it, cell by cell. Coupling and held-out noise are opened when needed. */
export async function runStudent(
  run: Run,
  { row, students }: RowPlan,
  { seed, plan, cells }: StudentPlan,
  coupling: () => Promise<Coupling>,
  heldOut: () => Promise<HeldOut>,
): Promise<void> {
  const { bench, recipe, signal } = run;
  await run.stage(plan, async (folder) =>
    await trainStudent(row.student, await coupling(), bench.train, {
      label: `student ${row.name}, seed ${seed}`,
      seed,
      checkpoints: row.checkpoints,
      folder,
      identity: { stage: plan.id },
      signal,
    }));
  for (const cell of cells) {
    await run.stage(cell.plan, async (folder) => {
      const found = await foundBefore(recipe, students[0]!, seed, cell);
      const student = await loadStudent(row.student, bench.train, plan.folder, cell.checkpoint);
      try {
        await evaluateCell({
          bench,
          model: student.model,
          recipe: recipe.evaluation,
          cell,
          label: `${row.name} at ${cell.checkpoint}`,
          seed,
          folder,
          ...(found && { found }),
          ...(cell.guidance === "heldOut" && { heldOut: await heldOut() }),
          signal,
        });
      } finally {
        student.dispose();
      }
    });
  }
}

/** What the first seed's search found, where the recipe has the other seeds take it. */
async function foundBefore(recipe: ResolvedRecipe, first: StudentPlan, seed: number, cell: CellPlan) {
  const own = recipe.evaluation.guidanceSearch.seeds === "each" || first.seed === seed;
  if (own || cell.guidance !== "search") return undefined;
  const same = first.cells.find(({ checkpoint, sampler, guidance }) =>
    checkpoint === cell.checkpoint && sampler === cell.sampler && guidance === cell.guidance
  );
  return (await readStage<StageFigures>(same!.plan, "figures.json")).search;
}
