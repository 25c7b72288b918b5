import { progress, say } from "../core/terminal.ts";
import { makeFeatureArtifact } from "../metrics/feature_artifact.ts";
import { featureTraining } from "../metrics/feature_training.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { openFeatures, referenceOf, referencePath } from "./features.ts";
import { loadSplits, openNamedEngine, wholeSet } from "./workbench.ts";

/**
 * Trains the feature network of a recipe's data and keeps it under
 * `features.pretrained`. Inception needs no training: what it takes is the
 * statistics of the training set, which are kept too.
 */
export async function featuresCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  const engine = await openNamedEngine(options);
  if (recipe.features.kind === "inception") {
    const { train } = (await loadSplits(recipe.data)).images;
    const features = await openFeatures(recipe.features, train);
    const { count } = await referenceOf(recipe.features, features, train, engine.kind);
    const where = recipe.features.reference ??
      await referencePath(recipe.features, features.network, train, engine.kind);
    return say(
      `${features.name}: statistics of ${Number.isFinite(count) ? count : "published"} images in ${where}`,
      options,
    );
  }
  const data = wholeSet(recipe.data);
  const sets = await loadSplits(data);
  const made = { data, seed: 0, training: featureTraining.parse({}) };
  const folder = recipe.features.pretrained;
  let bar: ReturnType<typeof progress> | undefined;
  const card = await makeFeatureArtifact(folder, made, sets, engine, ({ step, steps, loss }) => {
    bar ??= progress("feature network", steps, "steps", options);
    bar.update(step, `loss ${loss.toFixed(3)}`);
  });
  bar?.stop();
  const { testAccuracy, floor } = card;
  say(`written to ${folder}/: test accuracy ${testAccuracy}, FD of the test set ${floor.value.toFixed(3)}`, options);
}
