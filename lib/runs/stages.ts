import { join } from "node:path";
import { z } from "zod";
import { firstDifference } from "../core/difference.ts";
import { exists, fileFault, writeFileAtomic } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";
import { readJson, readJsonIfSound } from "../core/json.ts";
import { Problem } from "../core/problem.ts";
import { lock } from "./lock.ts";
import { noteEnvironment } from "./stage_environment.ts";
import { stageForms } from "./stage_forms.ts";

/** One step of a run whose result is kept under the hash of everything that made it. */
export interface Stage {
  /** What it makes. Experiments share what they agree in: a stage lies under its kind and hash alone. */
  readonly kind:
    | "features"
    | "autoencoder"
    | "teacher"
    | "teacherFigures"
    | "coupling"
    | "student"
    | "cell"
    | "pictures"
    | "latency";
  /** Readable and unique within a run, for example `student NFM seed 0`. */
  readonly name: string;
  /** Stages that are reported together, for example `evaluation NFM seed 0`; the name when absent. */
  readonly group?: string;
  /** Everything that the result depends on: recipe parts, data digests, code version, keys of earlier stages. */
  readonly key: Readonly<Record<string, unknown>>;
}

/** A stage's place on disk, and whether its result is there. */
export interface StagePlan {
  readonly stage: Stage;
  /** Hash of the key: what a checkpoint of this stage must agree in. */
  readonly id: string;
  readonly folder: string;
  /** Where the key is noted once it is made. */
  readonly last: string;
  readonly done: boolean;
  /** Why it must run, or why it is skipped: one clause. */
  readonly reason: string;
}

/** Where stages are kept; not under version control. */
export const stagesFolder = ".nfm/stages";
const doneFile = "done.json";
/** There while a folder is emptied: what is left beside it is half of something. */
const clearingFile = "clearing";

export interface PlanOptions {
  /** Make it again although its result is there. */
  readonly forced?: boolean;
  /** The run that asks, `table4/desk`: what it made last under the same name tells why a stage runs again. */
  readonly scope?: string;
  readonly root?: string;
}

/** Looks up a stage. One whose mark is damaged is not done: it is made again from what it has. */
export async function planStage(stage: Stage, options: PlanOptions = {}): Promise<StagePlan> {
  const { forced = false, scope = "", root = stagesFolder } = options;
  const id = hashOf(stage.key).slice(0, 16);
  const folder = join(root, stage.kind, id);
  const last = join(root, "last", scope, `${stage.name.replace(/[^\p{L}\p{N}.+=-]+/gu, "-")}.json`);
  const plan = (done: boolean, reason: string): StagePlan => ({ stage, id, folder, last, done, reason });
  if (forced && await exists(join(folder, doneFile))) return plan(false, "forced");
  if (await readDone(folder)) return plan(true, "unchanged");
  if (await exists(folder)) return plan(false, "begun before, goes on from there");
  const madeLast = await readJsonIfSound(last, (json) => keyForm.parse(json));
  return plan(false, madeLast ? whyAgain(madeLast, stage.key) : "not made yet");
}

const keyForm = z.record(z.string(), z.unknown()), secondsForm = z.number().nonnegative();
const doneForm = z.object({ seconds: secondsForm });

/** What says that a stage is done; `undefined` where nothing does. */
async function readDone(folder: string): Promise<{ readonly seconds: number } | undefined> {
  return await readJsonIfSound(join(folder, doneFile), (json) => doneForm.parse(json));
}

function whyAgain(last: unknown, key: unknown): string {
  const difference = firstDifference(last, key);
  return /^(code|trainingCode) was /.test(difference) ? "the code changed" : difference;
}

// What --force has emptied in this process: rows that share a stage plan it before the first of them makes it again.
const begunAgain = new Set<string>();

export interface StageOptions {
  /** The hash of what computes, asked for where something is made (see `environmentOf`): kept with the result. */
  readonly environment?: () => Promise<string>;
  /** How often the time that it took so far is noted, for a stage that is killed; a minute when not said. */
  readonly noteEverySeconds?: number;
}

/**
 * Runs `make` in the stage's folder unless its result is there, and marks it
 * done afterwards. A forced stage starts from an empty folder, once a process;
 * an interrupted one keeps what it had (checkpoints), so that `make` can go on.
 *
 * @throws {Problem} exit code 73 when another process makes it, 74 when the folder refuses; and as `make` does
 */
export async function runStage(
  plan: StagePlan,
  make: (folder: string) => Promise<void>,
  { environment, noteEverySeconds = 60 }: StageOptions = {},
): Promise<{ readonly seconds: number; readonly skipped: boolean }> {
  const kept = plan.done && await readDone(plan.folder);
  if (kept) return { seconds: kept.seconds, skipped: true };
  await Deno.mkdir(plan.folder, { recursive: true }).catch((error) => {
    throw fileFault("write", plan.folder, error);
  });
  using _lock = await lock(join(plan.folder, "lock"), plan.stage.name);
  // Two rows, or another run, may have made the same thing since this was planned.
  const forced = plan.reason === "forced" && !begunAgain.has(plan.folder);
  const meanwhile = !forced && await readDone(plan.folder);
  if (meanwhile) return { seconds: meanwhile.seconds, skipped: true };
  if (forced || await exists(join(plan.folder, clearingFile))) await clear(plan.folder);
  if (forced) begunAgain.add(plan.folder);
  const environments = environment && await noteEnvironment(plan, await environment());
  // Time spent before an interruption counts: the figure is the cost of the stage, not of its last piece.
  const spentFile = join(plan.folder, "seconds.json");
  const before = await readJsonIfSound(spentFile, (json) => secondsForm.parse(json)) ?? 0;
  const started = performance.now();
  const seconds = () => before + (performance.now() - started) / 1000;
  const note = () => writeFileAtomic(spentFile, String(seconds()));
  let noted: Promise<void> = Promise.resolve();
  const timer = setInterval(() => noted = note().catch(() => {}), noteEverySeconds * 1000);
  try {
    await make(plan.folder);
  } catch (error) {
    await noted;
    await note();
    throw begunAgain.size > 0 && error instanceof Problem && error.exitCode === 75
      ? new Problem(`${error.message}, without --force, which would begin again`, { cause: error, exitCode: 75 })
      : error;
  } finally {
    clearInterval(timer);
    await noted;
  }
  await writeFileAtomic(
    join(plan.folder, doneFile),
    JSON.stringify({ ...plan.stage, seconds: seconds(), environments }, null, 1),
  );
  await writeFileAtomic(plan.last, JSON.stringify(plan.stage.key));
  return { seconds: seconds(), skipped: false };
}

/** Empties a stage's folder; first goes what says that it is done, so that half of it never passes for a result. */
async function clear(folder: string): Promise<void> {
  await writeFileAtomic(join(folder, clearingFile), "");
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  const turn = (name: string) => name === doneFile ? 0 : name === clearingFile ? 2 : 1;
  for (const name of names.filter((name) => name !== "lock").sort((a, b) => turn(a) - turn(b))) {
    await Deno.remove(join(folder, name), { recursive: true });
  }
}

/**
 * What a stage left in a JSON file.
 *
 * @throws {Problem} when the file is missing or damaged, with what to remove
 */
export async function readStage<Value>(plan: StagePlan, file: keyof typeof stageForms): Promise<Value> {
  const check = (json: unknown) => stageForms[file].parse(json) as Value;
  return await readJson(join(plan.folder, file), check, `remove ${plan.folder} to make it again`);
}
