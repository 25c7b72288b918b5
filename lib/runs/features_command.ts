import { beQuiet, say, withProgress } from "../core/terminal.ts";
import { interruptible } from "../data/interruptible.ts";
import { keepFeatureArtifact, keepsFeatureArtifact } from "../metrics/feature_artifact.ts";
import {
  type FeatureRecipe,
  featureTraining,
  trainedFeatureNetwork,
  trainFeatureNetwork,
  trainingSteps,
} from "../metrics/feature_training.ts";
import type { FeaturesRecipe, ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { withoutPlaces } from "./data_member.ts";
import { featuresStage, openFeatures, referenceOf, referencePath, referencesFolder } from "./features.ts";
import { interruptSignal } from "./interrupt.ts";
import { environmentOf } from "./stage_environment.ts";
import { planStage, runStage } from "./stages.ts";
import { loadSplits, openNamedEngine, wholeSet } from "./workbench.ts";

/**
 * Trains the feature network of a recipe's data and keeps it under
 * `features.pretrained`; one that this very recipe has made is left alone,
 * unless `force` is given. Inception needs no training: what it takes is the
 * statistics of the training set, which are kept too.
 */
export async function featuresCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const { features } = recipe;
  if (features.kind === "inception") await keepStatistics(recipe, features, options);
  else await keepNetwork(recipe, features.pretrained, options);
}

async function keepNetwork(recipe: ResolvedRecipe, folder: string, options: RunOptions): Promise<void> {
  const data = wholeSet(recipe.data), training = featureTraining.parse({});
  const made: FeatureRecipe = { data: { ...withoutPlaces(data), kind: data.kind }, seed: 0, training };
  if (options.force === undefined && await keepsFeatureArtifact(folder, made)) {
    return say(`${folder}/ is what this recipe makes; --force trains it again`);
  }
  if (options.dryRun) return console.log(`would train the feature network of ${recipe.experiment} into ${folder}/`);
  const engine = await openNamedEngine(options), { train, test } = await loadSplits(data), signal = interruptSignal();
  const plan = await planStage(await featuresStage(made, train, engine.kind), {
    forced: options.force !== undefined,
    scope: "features",
  });
  await runStage(
    plan,
    (stage) =>
      withProgress(
        "feature network",
        trainingSteps(train.size, training),
        "steps",
        (onProgress) =>
          trainFeatureNetwork(train, made, {
            folder: stage,
            identity: { stage: plan.id },
            signal,
            onStep: ({ step, loss }) => onProgress(step, `loss ${loss.toFixed(3)}`),
          }),
      ),
    { environment: () => environmentOf(engine) },
  );
  const network = await trainedFeatureNetwork(plan.folder, train, training);
  const sets = { train: interruptible(train, signal), test: interruptible(test, signal) };
  try {
    const { testAccuracy, floor } = await keepFeatureArtifact(folder, made, sets, network, engine);
    say(`written to ${folder}/: test accuracy ${testAccuracy}, FD of the test set ${floor.value.toFixed(3)}`);
  } finally {
    network.dispose();
  }
}

async function keepStatistics(
  recipe: ResolvedRecipe,
  inception: FeaturesRecipe & { readonly kind: "inception" },
  options: RunOptions,
): Promise<void> {
  if (options.dryRun) {
    return console.log(
      inception.reference === undefined
        ? `would keep Inception's statistics of the images of ${recipe.experiment} in ${referencesFolder}/`
        : `would read the published statistics in ${inception.reference}`,
    );
  }
  const engine = await openNamedEngine(options);
  const { train } = (await loadSplits(recipe.data)).images;
  const features = await openFeatures(inception, train);
  const { count } = await referenceOf(inception, features, train, engine.kind, interruptSignal());
  const where = inception.reference ?? await referencePath(inception, features.network, train, engine.kind);
  say(`${features.name}: statistics of ${Number.isFinite(count) ? count : "published"} images in ${where}`);
}
