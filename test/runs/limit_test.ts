import { assertEquals } from "@std/assert";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { rowRecipe } from "../../lib/recipes/rows.ts";
import { limitRecipe } from "../../lib/runs/limit.ts";

const { recipe } = await loadRecipe("table4", "desk");

Deno.test("limitRecipe() leaves a recipe alone without a limit", () => {
  assertEquals(limitRecipe(recipe, undefined, "train"), recipe);
});

Deno.test("limitRecipe() does not touch a committed teacher", () => {
  assertEquals(limitRecipe(recipe, 100, "pretrained").teacher, recipe.teacher);
});

Deno.test("limitRecipe() times once, at the least batch", async () => {
  const { recipe } = await loadRecipe("table8", "quick");
  assertEquals(recipe.evaluation.latency!.batches, [1, 64]);
  assertEquals(limitRecipe(recipe, 100, "pretrained").evaluation.latency, {
    ...recipe.evaluation.latency!,
    batches: [1],
    repeats: 1,
  });
});

Deno.test("limitRecipe() keeps every stage and cuts its samples, checkpoints included", () => {
  const short = limitRecipe(recipe, 100, "train");
  assertEquals(Object.keys(short.rows), Object.keys(recipe.rows));
  assertEquals(short.evaluation.samplers, recipe.evaluation.samplers);
  assertEquals(short.evaluation.guidance, recipe.evaluation.guidance);
  assertEquals(short.evaluation.checkpoints, [100]);
  for (
    const count of [short.teacher.training, short.student.training, short.evaluation, short.evaluation.guidanceSearch]
  ) {
    assertEquals(count.samples, 100);
  }
  assertEquals(short.student.training.batch, 64, "a batch that fits stays");
  assertEquals(limitRecipe(recipe, 10, "train").student.training.batch, 10, "one that does not shrinks");
});

Deno.test("limitRecipe() cuts what a row states for itself, and leaves its other differences", async () => {
  const { recipe } = await loadRecipe("table4", "desk", [
    "rows.NFM.student.training.samples=500000",
    "student.depth=2",
  ]);
  const short = limitRecipe(recipe, 100, "pretrained");
  assertEquals(rowRecipe(short, "NFM").student.training.samples, 100);
  assertEquals(rowRecipe(short, "NFM").checkpoints, [100]);
  assertEquals(rowRecipe(short, "NFM").student.model.depth, 2);
});
