import { join } from "node:path";
import { stringify } from "@std/yaml";
import { writeFileAtomic } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { say } from "../core/terminal.ts";
import { tf } from "../engine/mod.ts";
import { bindFlow } from "../models/bind.ts";
import { parameterCount } from "../nn/parameters.ts";
import { likelihood } from "../metrics/likelihood.ts";
import { createRng } from "../core/rng.ts";
import { rowRecipes } from "../recipes/rows.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { commitHere } from "../results/provenance.ts";
import { readWeights, writeWeights } from "../training/weights.ts";
import { codeVersion } from "./code_version.ts";
import { interruptSignal } from "./interrupt.ts";
import { planStage, runStage } from "./stages.ts";
import { flowOf, pretrainedWeights, teacherWeights, trainTeacher } from "./teacher.ts";
import { loadSplits, openNamedEngine, withoutPlaces } from "./workbench.ts";

/**
 * Trains the teacher of a recipe and keeps it under `teacher.pretrained`, the
 * paper's §5.2: a flow as a reusable encoder. `teacher.safetensors` holds the
 * averaged weights, `recipe.yaml` what made them, `card.json` what they reach.
 */
export async function teacherCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  const engine = await openNamedEngine(options);
  const splits = await loadSplits(recipe.data);
  const { teacher, flips } = rowRecipes(recipe)[0]!;
  const { pretrained, ...trained } = teacher;
  const code = await codeVersion("training"), commit = await commitHere();
  const key = { ...trained, data: splits.train.digest, flips, engine: engine.kind, code };
  const plan = await planStage(
    { name: `teacher ${recipe.experiment} ${recipe.scale}`, key },
    options.force !== undefined,
  );
  const { seconds } = await runStage(plan, (folder) =>
    trainTeacher(teacher, splits.train, {
      seed: 0,
      flips,
      folder,
      identity: { stage: plan.id },
      signal: interruptSignal(),
    }));
  const definition = flowOf(teacher, splits.train);
  const { flat } = await readWeights(teacherWeights(teacher, plan.folder), definition.specs);
  const vector = tf.tensor1d(flat);
  const flow = bindFlow(definition, vector);
  const inputs = { flow, noiseStd: teacher.noiseStd, batchSize: 250, rng: createRng(0).fork("teacherReport") };
  const nll = await likelihood({ ...inputs, dataset: splits.train });
  const nllTest = await likelihood({ ...inputs, dataset: splits.test });
  vector.dispose();
  const made = { data: withoutPlaces(recipe.data), flips, ...trained };
  const recipeHash = hashOf(made);
  await writeWeights(pretrainedWeights(teacher), definition.specs, flat, { recipe: recipeHash });
  await writeFileAtomic(join(pretrained, "recipe.yaml"), stringify(made));
  const card = {
    data: splits.train.name,
    trainDigest: splits.train.digest,
    recipeHash,
    weights: await hashFile(pretrainedWeights(teacher)),
    parameters: parameterCount(definition.specs),
    nllTrain: Number(nll.nll.value.toFixed(4)),
    nllTest: Number(nllTest.nll.value.toFixed(4)),
    nllUnit: "nats per dimension, Eq. 3, without ½ log 2π, with the noise added",
    engine: `${engine.version} (${engine.kind})`,
    commit,
    code,
    seconds: Math.round(seconds),
  };
  await writeFileAtomic(join(pretrained, "card.json"), `${JSON.stringify(card, null, 2)}\n`);
  say(`written to ${pretrained}/: NLL ${card.nllTrain} on the training set, ${card.nllTest} held out`, options);
}
