import * as autoencoders from "./autoencoder_options.ts";
import type { Fault } from "./explain.ts";
import { rowFaults, rowRecipe } from "./rows.ts";
import { sampledMetrics } from "./metric_names.ts";
import { stepsFor } from "../training/steps.ts";
import type { AutoencoderRecipe, ResolvedRecipe, RowRecipe, TrainingRecipe } from "./types.ts";

/** What no single key can tell: how the values of a recipe that has the right form fit together. */
export function crossFaults(recipe: ResolvedRecipe): readonly Fault[] {
  const names = Object.keys(recipe.rows);
  if (names.length === 0) return [fault(["rows"], "expected at least one row")];
  const broken = names.flatMap((name) => rowFaults(recipe, name));
  if (broken.length > 0) return broken;
  return [
    ...(new Set(recipe.seeds).size < recipe.seeds.length ? [fault(["seeds"], "expected distinct seeds")] : []),
    ...evaluationFaults(recipe),
    ...autoencoderFaults(recipe),
    ...names.flatMap((name) => fitFaults(recipe, rowRecipe(recipe, name))),
  ];
}

function evaluationFaults({ evaluation }: ResolvedRecipe): readonly Fault[] {
  const { checkpoints, samplers, guidanceSearch: search, guidance, metrics } = evaluation;
  const faults: Fault[] = [];
  checkpoints.forEach((checkpoint, i) => {
    if (i > 0 && checkpoint <= checkpoints[i - 1]!) {
      faults.push(
        fault(
          ["evaluation", "checkpoints", i],
          `expected more than ${checkpoints[i - 1]}, the one before, got ${checkpoint}`,
        ),
      );
    }
  });
  samplers.forEach(({ method, nfe }, i) => {
    if (method === "heun" && nfe % 2 === 0) {
      faults.push(
        fault(["evaluation", "samplers", i, "nfe"], `Heun's nfe is 2 · steps - 1: expected an odd number, got ${nfe}`),
      );
    }
  });
  if (!(search.low < search.high)) {
    faults.push(
      fault(["evaluation", "guidanceSearch", "high"], `expected more than low (${search.low}), got ${search.high}`),
    );
  }
  const lists: Record<string, readonly unknown[]> = {
    guidance,
    metrics,
    samplers: samplers.map((one) => Object.values(one).join()),
  };
  for (const [key, list] of Object.entries(lists)) {
    if (new Set(list).size < list.length) faults.push(fault(["evaluation", key], "expected each entry once"));
  }
  return faults;
}

/** By how much the latents' side is shorter than the image's. */
function factorOf({ model }: AutoencoderRecipe): number {
  return model.kind === "convolutional"
    ? autoencoders.convolutional.factor(model)
    : autoencoders.autoencoderKl.factor();
}

function autoencoderFaults({ autoencoder, data: { size } }: ResolvedRecipe): readonly Fault[] {
  if (!autoencoder) return [];
  const factor = factorOf(autoencoder), { training, scale } = autoencoder;
  if (size % factor !== 0) {
    const sentence = `expected levels whose factor divides data.size (${size}), got a factor of ${factor}`;
    return [fault(["autoencoder", "model"], sentence)];
  }
  if (!training) {
    const missing = "expected with published weights, which have no card to take it from";
    return scale === undefined ? [fault(["autoencoder", "scale"], missing)] : [];
  }
  const faults: Fault[] = [];
  trainingChecks(training, ["autoencoder", "training"], (holds, path, sentence) => {
    if (!holds) faults.push(fault(path, sentence));
  });
  return faults;
}

function fitFaults(recipe: ResolvedRecipe, row: RowRecipe): readonly Fault[] {
  const size = recipe.data.size / (recipe.autoencoder ? factorOf(recipe.autoencoder) : 1);
  const side = recipe.autoencoder ? "the latents' side" : "data.size";
  const faults: Fault[] = [];
  const check: Check = (holds, path, sentence) => {
    if (!holds) faults.push(fault(whereInRow(recipe, row.name, path), sentence));
  };
  const { model: flow, noiseStd } = row.teacher;
  const { model } = row.student;
  check(size % flow.patch === 0, ["teacher", "model", "patch"], divides(side, size, flow.patch));
  check(
    flow.width % flow.headWidth === 0,
    ["teacher", "model", "headWidth"],
    divides("width", flow.width, flow.headWidth),
  );
  check(size % model.patch === 0, ["student", "model", "patch"], divides(side, size, model.patch));
  check(model.width % model.heads === 0, ["student", "model", "heads"], divides("width", model.width, model.heads));
  check(
    noiseStd > 0,
    ["teacher", "noiseStd"],
    "expected more than 0: without noise the likelihood of pixels has no bound",
  );
  for (const part of ["teacher", "student"] as const) trainingChecks(row[part].training, [part, "training"], check);
  checkpointChecks(recipe, row, check);
  check(
    !(row.coupling.kind === "semidiscrete" && row.flips && recipe.autoencoder),
    ["coupling", "kind"],
    "semidiscrete mirrors the latents that it assigns, and an autoencoder's latents of a mirrored image are others: " +
      `expected flips: false beside it (rows.${row.name}.flips=false), or no autoencoder`,
  );
  check(
    !row.metrics.includes("latency") || recipe.evaluation.latency !== undefined,
    ["evaluation", "latency"],
    "missing; the metric latency needs its batches, repeats and guidanceWeight",
  );
  const guided = recipe.evaluation.guidance.includes("search");
  check(
    !guided || row.student.training.labelDropout > 0,
    ["student", "training", "labelDropout"],
    "expected more than 0: guidance needs a student that has seen dropped labels",
  );
  return faults;
}

/** Notes a fault at `path` unless something holds. */
type Check = (holds: boolean, path: readonly string[], sentence: string) => void;

function trainingChecks(training: Omit<TrainingRecipe, "labelDropout">, at: readonly string[], check: Check): void {
  const { samples, batch, microBatches, learningRate, finalRate, warmupSteps } = training;
  const steps = stepsFor(samples, batch);
  check(
    finalRate <= learningRate,
    [...at, "finalRate"],
    `expected at most learningRate (${learningRate}), got ${finalRate}`,
  );
  check(
    warmupSteps <= steps,
    [...at, "warmupSteps"],
    `expected at most the ${steps} steps of the training, got ${warmupSteps}`,
  );
  check(batch % microBatches === 0, [...at, "microBatches"], divides("batch", batch, microBatches));
}

function checkpointChecks(
  { evaluation: { checkpoints } }: ResolvedRecipe,
  { student: { training: { samples, batch }, checkpoints: own }, checkpoints: kept, metrics }: RowRecipe,
  check: Check,
): void {
  for (
    const [list, path] of [[checkpoints, ["evaluation", "checkpoints"]], [own, ["student", "checkpoints"]]] as const
  ) {
    if (!list) continue;
    const last = list.at(-1)!;
    check(last <= samples, path, `expected at most student.training.samples (${samples}), got ${last}`);
    const steps = list.map((checkpoint) => stepsFor(checkpoint, batch));
    const near = steps.findIndex((step, i) => step === steps[i - 1]);
    check(
      near < 0,
      path,
      `expected checkpoints at least a batch (${batch}) apart, got ${list[near - 1]} and ${list[near]}`,
    );
  }
  // evaluation.checkpoints are seen to by `evaluationFaults`, once for all rows.
  const falling = own?.findIndex((one, i) => one <= own[i - 1]!) ?? -1;
  check(
    falling < 0,
    ["student", "checkpoints"],
    `expected a rising list, got ${own?.[falling]} after ${own?.[falling - 1]}`,
  );
  const lost = checkpoints.find((checkpoint) => !kept.includes(checkpoint));
  check(
    lost === undefined || !sampledMetrics.some((metric) => metrics.includes(metric)),
    ["evaluation", "checkpoints"],
    `expected only samples seen at which student.checkpoints keeps the student (${kept.join(", ")}), got ${lost}`,
  );
}

/** A row's own difference when it states one there, else the shared part. */
function whereInRow(recipe: ResolvedRecipe, name: string, path: readonly string[]): readonly string[] {
  const own = (recipe.rows[name] as Record<string, unknown>)[path[0]!];
  return own === undefined || own === recipe.flips ? path : ["rows", name, ...path];
}

function fault(path: readonly PropertyKey[], sentence: string): Fault {
  return { path, sentence, at: "value" };
}

function divides(name: string, whole: number, part: number): string {
  return `expected a divisor of ${name} (${whole}), got ${part}`;
}
