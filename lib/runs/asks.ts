import { sampledMetrics } from "../recipes/metric_names.ts";
import { rowRecipes } from "../recipes/rows.ts";
import type { EvaluationRecipe, ResolvedRecipe } from "../recipes/types.ts";

type Metric = EvaluationRecipe["metrics"][number];

/** Metrics that a Fréchet distance is measured for: every cell has one. */
const comparing: readonly Metric[] = [...sampledMetrics, "teacherFrechet"];
/** Metrics of untrained models: the images' shape is all that they take. */
const ofShapes: readonly Metric[] = ["latency", "parameters"];

const metricsOf = (recipe: ResolvedRecipe) => rowRecipes(recipe).flatMap(({ metrics }) => metrics);

/** Whether anything that a recipe asks for compares images under its feature network. */
export function comparesImages(recipe: ResolvedRecipe): boolean {
  return metricsOf(recipe).some((metric) => comparing.includes(metric));
}

/** Whether anything that a recipe asks for needs the images themselves. */
export function readsImages(recipe: ResolvedRecipe): boolean {
  return metricsOf(recipe).some((metric) => !ofShapes.includes(metric));
}
