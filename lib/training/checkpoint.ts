import { Problem } from "../core/problem.ts";
import type { ParameterSpec } from "../nn/parameters.ts";
import { vectorNames } from "./optimizer.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { TrainerState } from "./trainer.ts";
import { flatVector, namedTensors } from "./weights.ts";

/**
 * What a run must agree in to go on from a checkpoint, by name: the hash of its
 * recipe, the engine … No random state: randomness is counted, not kept.
 */
export type Identity = Readonly<Record<string, string>>;

const format = "nfm training state 1";
const fileName = /^step-(\d{9,})\.safetensors$/;
const nameOf = (step: number) => `step-${String(step).padStart(9, "0")}.safetensors`;

/**
 * Saves a state as `<folder>/step-<step>.safetensors`: `parameters/`, `ema/`,
 * `firstMoment/` and `secondMoment/` before each parameter's own name. Keeps
 * this checkpoint and the one before it.
 *
 * @returns the file's path
 * @throws {Problem} exit code 74 when the disk refuses; the older checkpoints are kept.
 */
export async function saveCheckpoint(
  folder: string,
  specs: readonly ParameterSpec[],
  state: TrainerState,
  identity: Identity,
): Promise<string> {
  const path = `${folder}/${nameOf(state.step)}`;
  const tensors = vectorNames.flatMap((vector) => [...namedTensors(specs, state[vector], `${vector}/`)]);
  await writeSafetensors(path, tensors, {
    format,
    step: String(state.step),
    samplesSeen: String(state.samplesSeen),
    ...prefixed(identity),
  });
  const steps = await listCheckpoints(folder);
  const previous = steps.filter((step) => step < state.step).at(-1);
  for (const step of steps) {
    // Later ones can only be the damaged ones that this run fell back from.
    if (step !== state.step && step !== previous) await Deno.remove(`${folder}/${nameOf(step)}`);
  }
  return path;
}

/**
 * The newest state in `folder` that is whole, or `undefined` when there is no
 * checkpoint. Falls back from a damaged one to the one before it, telling
 * `warn`. Removes what interrupted saves left behind.
 *
 * @throws {Problem} when every checkpoint is damaged (exit code 74), or one is
 * of another model or run (2), naming what differs.
 */
export async function loadCheckpoint(
  folder: string,
  specs: readonly ParameterSpec[],
  identity: Identity,
  warn: (message: string) => void,
): Promise<TrainerState | undefined> {
  await removeTemporaries(folder);
  const steps = (await listCheckpoints(folder)).reverse();
  for (const step of steps) {
    try {
      return await readCheckpoint(`${folder}/${nameOf(step)}`, specs, identity);
    } catch (error) {
      if (!(error instanceof Problem && error.exitCode === 74)) throw error;
      warn(`${error.message}; falling back to the checkpoint before it`);
    }
  }
  if (steps.length === 0) return undefined;
  throw new Problem(
    `Cannot resume from ${folder}: none of its ${steps.length} checkpoints is whole; remove the folder to start again`,
    { exitCode: 74 },
  );
}

/**
 * Reads one checkpoint.
 *
 * @throws {Problem} when it is damaged (exit code 74), or of another model or run (2).
 */
export async function readCheckpoint(
  path: string,
  specs: readonly ParameterSpec[],
  identity: Identity,
): Promise<TrainerState> {
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata.format !== format) {
    throw new Problem(`Cannot resume from ${path}: its format is "${metadata.format}", expected "${format}"`);
  }
  for (const [key, expected] of Object.entries(prefixed(identity))) {
    if (metadata[key] === expected) continue;
    throw new Problem(
      `Cannot resume from ${path}: its ${key} is ${metadata[key] ?? "unknown"}, this run's is ${expected}; ` +
        `use another folder, or remove this one to start again`,
    );
  }
  const vector = (name: string) => flatVector(specs, tensors, path, `${name}/`);
  return {
    step: Number(metadata.step),
    samplesSeen: Number(metadata.samplesSeen),
    parameters: vector("parameters"),
    ema: vector("ema"),
    firstMoment: vector("firstMoment"),
    secondMoment: vector("secondMoment"),
  };
}

function prefixed(identity: Identity): Record<string, string> {
  return Object.fromEntries(Object.entries(identity).map(([key, value]) => [`identity.${key}`, value]));
}

/** The steps of the checkpoints in `folder`, ascending. */
async function listCheckpoints(folder: string): Promise<number[]> {
  const names = await namesIn(folder);
  return names.flatMap((name) => fileName.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
}

async function removeTemporaries(folder: string): Promise<void> {
  const stale = (await namesIn(folder)).filter((name) => name.endsWith(".tmp"));
  await Promise.all(stale.map((name) => Deno.remove(`${folder}/${name}`)));
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
