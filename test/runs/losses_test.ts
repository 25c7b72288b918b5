import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { gatherLosses, trainingLoss } from "../../lib/runs/losses.ts";
import { planRows, type RowPlan } from "../../lib/runs/plan.ts";
import { outlineSplits } from "../../lib/runs/workbench.ts";

const { recipe } = await loadRecipe("table4", "quick");
const options = { engine: "wasm", teacher: "pretrained", dryRun: true, overrides: [], quiet: true, out: "-" } as const;
const planned = (await planRows(recipe, options, (await outlineSplits(recipe)).splits))[0]!;
const training = { ...planned.row.student.training, samples: 95, batch: 5 }; // 19 steps
const student = { ...planned.row.student, training };

/** A row of one student whose log, in a folder of its own, has the losses `steps`, `steps - 1`, … 1. */
async function rowOf(steps: number): Promise<RowPlan & { readonly folder: string; readonly log: string }> {
  const folder = await Deno.makeTempDir(), log = `${folder}/loss.jsonl`, first = planned.students[0]!;
  const lines = Array.from({ length: steps }, (_, i) => ({ step: i + 1, loss: steps - i, gradientNorm: 1 }));
  await Deno.writeTextFile(log, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const row = { ...planned.row, student, metrics: ["loss"] as const };
  return { ...planned, row, students: [{ ...first, plan: { ...first.plan, folder } }], folder, log };
}

Deno.test("a loss is the mean of the last tenth of the steps up to its checkpoint, and a curve ends with the last", async () => {
  const row = await rowOf(19), { folder } = row;
  assertEquals(await trainingLoss(student, folder, 95), 1.5);
  assertEquals(await trainingLoss(student, folder, 48), 10, "a partial batch is a step");
  const points = (await gatherLosses([row]))[row.row.name]!;
  assertEquals([points.length, points[0], points.at(-1)], [19, [5, 19], [95, 1]]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a log that was shortened gives no loss and no curve: it is named, with what to do", async () => {
  const row = await rowOf(19), { folder, log } = row, text = await Deno.readTextFile(log);
  const half = text.split("\n").slice(0, 9).join("\n") + "\n";
  for (const [left, last] of [[half, 9], [text.slice(0, -3), 18], ["", 0]] as const) {
    await Deno.writeTextFile(log, left);
    for (const asked of [() => trainingLoss(student, folder, 95), () => gatherLosses([row])]) {
      const { message, exitCode } = await assertRejects(asked, Problem);
      assertEquals(
        [message, exitCode],
        [`Cannot use the log ${log}: it ends after step ${last}, expected 19; --force=student makes it again`, 74],
      );
    }
  }
  await Deno.writeTextFile(log, half);
  assertAlmostEquals(await trainingLoss(student, folder, 45), 11, 1e-12, "as far as it goes it is of use");
  await Deno.remove(folder, { recursive: true });
});
