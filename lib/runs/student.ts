import { createRng } from "../core/rng.ts";
import { tf } from "../engine/mod.ts";
import type { Coupling } from "../couplings/types.ts";
import type { Dataset } from "../data/types.ts";
import { bindVelocity } from "../models/bind.ts";
import type { VelocityDefinition, VelocityModel } from "../models/types.ts";
import type { StudentRecipe } from "../recipes/types.ts";
import { flowMatchingLoss } from "../training/flow_matching.ts";
import { studentBatches } from "../training/student_batches.ts";
import { readWeights } from "../training/weights.ts";
import { velocityOf } from "./recipe_models.ts";
import { keptAverage, train } from "./train.ts";

// One a definition, so that what the engine recorded for it serves every row and seed.
const losses = new WeakMap<VelocityDefinition, ReturnType<typeof flowMatchingLoss>>();

function lossOf(definition: VelocityDefinition) {
  let loss = losses.get(definition);
  if (!loss) losses.set(definition, loss = flowMatchingLoss(definition));
  return loss;
}

/**
 * Trains a student under a coupling (paper §3.2). Rows of one seed share their
 * starting values, times and dropped labels: what differs is the coupling.
 */
export async function trainStudent(
  recipe: StudentRecipe,
  coupling: Coupling,
  dataset: Dataset,
  options: {
    label: string;
    seed: number;
    checkpoints: readonly number[];
    folder: string;
    identity: Record<string, string>;
    signal: AbortSignal;
  },
): Promise<void> {
  const definition = velocityOf(recipe, dataset);
  const { training, time, pairUses = 1 } = recipe, { labelDropout, batch } = training;
  const rng = createRng(options.seed).fork("student");
  const batches = studentBatches(coupling, rng, { size: batch, labelDropout, time, pairUses });
  const trained = train({
    compile: true,
    label: options.label,
    specs: definition.specs,
    loss: lossOf(definition),
    batch: batches.batch,
    training,
    rng,
    folder: options.folder,
    identity: options.identity,
    keepAt: options.checkpoints,
    signal: options.signal,
  });
  await trained.finally(batches.dispose);
}

/** A trained student at a checkpoint: the moving average, frozen. The caller disposes it. */
export async function loadStudent(
  recipe: StudentRecipe,
  dataset: Dataset,
  folder: string,
  checkpoint: number,
): Promise<{ readonly model: VelocityModel; dispose(): void }> {
  const definition = velocityOf(recipe, dataset);
  const { flat } = await readWeights(keptAverage(folder, checkpoint, recipe.training.batch), definition.specs);
  const vector = tf.tensor1d(flat);
  return { model: bindVelocity(definition, vector), dispose: () => vector.dispose() };
}
