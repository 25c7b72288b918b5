import { join } from "node:path";
import { stringify } from "@std/yaml";
import { exists, writeFileAtomic } from "../core/files.ts";
import { hashFile, hashOf } from "../core/hash.ts";
import { attempt, Problem } from "../core/problem.ts";
import { beQuiet, say, withProgress } from "../core/terminal.ts";
import * as couplings from "../couplings/mod.ts";
import type { CouplingKind } from "../couplings/types.ts";
import { interruptible } from "../data/interruptible.ts";
import type { Dataset } from "../data/types.ts";
import { type Engine, tf } from "../engine/mod.ts";
import { bindFlow } from "../models/bind.ts";
import { parameterCount } from "../nn/parameters.ts";
import { likelihood } from "../metrics/likelihood.ts";
import { createRng } from "../core/rng.ts";
import { rowRecipes } from "../recipes/rows.ts";
import type { ResolvedRecipe, RowRecipe, RunOptions } from "../recipes/types.ts";
import { commitHere } from "../results/provenance.ts";
import { readWeights, writeWeights } from "../training/weights.ts";
import { interruptSignal } from "./interrupt.ts";
import { flowOf } from "./recipe_models.ts";
import { environmentOf } from "./stage_environment.ts";
import { planStage, runStage } from "./stages.ts";
import { checkPretrained, pretrainedWeights, teacherRecipe, teacherStage, teacherWeights } from "./teacher.ts";
import { trainTeacher } from "./teacher_training.ts";
import { openNamedEngine, openSplits, type Splits } from "./workbench.ts";

/**
 * Trains the teachers of a recipe and keeps each under its `teacher.pretrained`,
 * the paper's §5.2: a flow as a reusable encoder. `teacher.safetensors` holds the
 * averaged weights, `recipe.yaml` what made them, `card.json` what they reach.
 * One that this very recipe has made is left alone, unless `force` is given.
 */
export async function teacherCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const rows = rowRecipes(recipe).filter(({ coupling }) => (couplings[coupling.kind] as CouplingKind).usesTeacher);
  const teachers = new Map(rows.map((row) => [row.teacher.pretrained, row]));
  const wanted: RowRecipe[] = [];
  for (const row of teachers.values()) {
    if (options.force === undefined && await isKept(row)) {
      say(`${row.teacher.pretrained}/ is what this recipe makes; --force trains it again`);
    } else if (options.dryRun) {
      console.log(`would train the teacher of ${row.name} into ${row.teacher.pretrained}/`);
    } else {
      wanted.push(row);
    }
  }
  if (wanted.length === 0) return;
  const engine = await openNamedEngine(options), splits = await openSplits(recipe);
  for (const row of wanted) await keepTeacher(row, splits, engine, options);
}

async function isKept(row: RowRecipe): Promise<boolean> {
  return await exists(pretrainedWeights(row.teacher)) &&
    !(await attempt(() => checkPretrained(row)) instanceof Problem);
}

async function keepTeacher(row: RowRecipe, splits: Splits, engine: Engine, options: RunOptions): Promise<void> {
  const { teacher, flips } = row, commit = await commitHere();
  const { pretrained } = teacher;
  const plan = await planStage(await teacherStage(row, splits.train.digest, engine.kind), {
    forced: options.force !== undefined,
    scope: "teachers",
  });
  const { seconds } = await runStage(plan, (folder) =>
    trainTeacher(teacher, splits.train, {
      seed: 0,
      flips,
      folder,
      identity: { stage: plan.id },
      signal: interruptSignal(),
    }), { environment: () => environmentOf(engine) });
  const definition = flowOf(teacher, splits.train);
  const { flat } = await readWeights(teacherWeights(teacher, plan.folder), definition.specs);
  const vector = tf.tensor1d(flat);
  const flow = bindFlow(definition, vector);
  const inputs = { flow, noiseStd: teacher.noiseStd, batchSize: 250, rng: createRng(0).fork("teacherReport") };
  const of = (split: Dataset) =>
    withProgress(
      `likelihood, ${split.split}`,
      split.size,
      "images",
      (onProgress) => likelihood({ ...inputs, dataset: interruptible(split, interruptSignal()), onProgress }),
    );
  const nll = await of(splits.train), nllTest = await of(splits.test);
  vector.dispose();
  const made = await teacherRecipe(row);
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
    code: plan.stage.key["code"],
    seconds: Math.round(seconds),
  };
  await writeFileAtomic(join(pretrained, "card.json"), `${JSON.stringify(card, null, 2)}\n`);
  say(`written to ${pretrained}/: NLL ${card.nllTrain} on the training set, ${card.nllTest} held out`);
}
