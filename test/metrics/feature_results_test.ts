import { assertAlmostEquals, assertEquals } from "@std/assert";
import { parse } from "@std/yaml";
import { hashOf } from "../../lib/core/hash.ts";
import type { DatasetKind } from "../../lib/data/kind.ts";
import * as datasets from "../../lib/data/mod.ts";
import { subset } from "../../lib/data/subset.ts";
import type { Dataset } from "../../lib/data/types.ts";
import { openEngine } from "../../lib/engine/mod.ts";
import { type FeatureCard, featureFolder, openFeatureArtifact } from "../../lib/metrics/feature_artifact.ts";
import { accuracyOf, type FeatureRecipe, featureTraining } from "../../lib/metrics/feature_training.ts";
import { classify } from "../../lib/metrics/classifier.ts";
import { extractFeatures } from "../../lib/metrics/features.ts";

const results = new URL("../../results/features/", import.meta.url);

for (const { name } of Deno.readDirSync(results)) {
  const folder = decodeURIComponent(new URL(name, results).pathname);
  const recipe = parse(Deno.readTextFileSync(`${folder}/recipe.yaml`)) as FeatureRecipe;
  const card = JSON.parse(Deno.readTextFileSync(`${folder}/card.json`)) as FeatureCard;
  const { kind, ...options } = recipe.data;
  const data = datasets[kind as keyof typeof datasets] as DatasetKind<unknown>;
  const load = (split: "train" | "test") => data.load(data.options.parse(options), split);
  const train = await load("train").catch(() => undefined);

  Deno.test(`results/features/${name} was made by the recipe beside it`, () => {
    assertEquals(`results/features/${name}`, featureFolder(recipe.data));
    assertEquals(featureTraining.parse(recipe.training), recipe.training);
    assertEquals(hashOf(recipe), card.recipeHash);
  });

  Deno.test({
    name: `results/features/${name} tells 1000 test images apart as its card says`,
    ignore: train === undefined, // Fashion-MNIST is not on every machine
    fn: async () => {
      await openEngine("wasm");
      const { network } = await openFeatureArtifact(folder, train as Dataset);
      const test = await load("test");
      assertEquals(test.digest, card.testDigest);
      const some = subset(test, 1000), predicted = await classify(network, await extractFeatures(network, some));
      // Four standard errors of a share of 1000.
      const error = Math.sqrt(card.testAccuracy * (1 - card.testAccuracy) / 1000);
      assertAlmostEquals(accuracyOf(some, predicted), card.testAccuracy, 4 * error);
      network.dispose();
    },
  });
}
