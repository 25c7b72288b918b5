import { join } from "node:path";
import { firstDifference } from "../core/difference.ts";
import { exists, readText, writeFileAtomic } from "../core/files.ts";
import { hashOf } from "../core/hash.ts";
import { lock } from "./lock.ts";

/** One step of a run whose result is kept under the hash of everything that made it. */
export interface Stage {
  /** Readable and unique within a run, for example `student NFM seed 0`. */
  readonly name: string;
  /** Everything that the result depends on: recipe parts, data digests, code version, keys of earlier stages. */
  readonly key: Readonly<Record<string, unknown>>;
}

/** A stage's place on disk, and whether its result is there. */
export interface StagePlan {
  readonly stage: Stage;
  /** Hash of the key: what a checkpoint of this stage must agree in. */
  readonly id: string;
  readonly folder: string;
  readonly done: boolean;
  /** Why it must run, or why it is skipped: one clause. */
  readonly reason: string;
}

/** Where stages are kept; not under version control. */
export const stagesFolder = ".nfm/stages";
const doneFile = "done.json";
const lastFile = "last.json";

/** Looks up a stage. `forced` asks for it to be made again. */
export async function planStage(stage: Stage, forced: boolean, root = stagesFolder): Promise<StagePlan> {
  const home = join(root, stage.name.replace(/[^\w.+-]+/g, "-"));
  const id = hashOf(stage.key).slice(0, 16);
  const folder = join(home, id);
  const made = await exists(join(folder, doneFile));
  if (made && !forced) return { stage, id, folder, done: true, reason: "unchanged" };
  if (made) return { stage, id, folder, done: false, reason: "forced" };
  const last = await exists(join(home, lastFile)) ? JSON.parse(await readText(join(home, lastFile))) : undefined;
  if (await exists(folder)) return { stage, id, folder, done: false, reason: "begun before, goes on from there" };
  return { stage, id, folder, done: false, reason: last ? whyAgain(last, stage.key) : "not made yet" };
}

function whyAgain(last: unknown, key: unknown): string {
  const difference = firstDifference(last, key);
  return difference.startsWith("code was ") ? "the code changed" : difference;
}

/**
 * Runs `make` in the stage's folder unless its result is there, and marks it
 * done afterwards. A forced stage starts from an empty folder; an interrupted
 * one keeps what it had (checkpoints), so that `make` can go on.
 */
export async function runStage(
  plan: StagePlan,
  make: (folder: string) => Promise<void>,
): Promise<{ readonly seconds: number; readonly skipped: boolean }> {
  if (plan.done) {
    const { seconds } = JSON.parse(await readText(join(plan.folder, doneFile)));
    return { seconds, skipped: true };
  }
  await Deno.mkdir(plan.folder, { recursive: true });
  using _lock = await lock(join(plan.folder, "lock"), plan.stage.name);
  if (plan.reason === "forced") await clear(plan.folder);
  // Time spent before an interruption counts: the figure is the cost of the stage, not of its last piece.
  const spentFile = join(plan.folder, "seconds.json");
  const before = await exists(spentFile) ? Number(await readText(spentFile)) : 0;
  const started = performance.now();
  const seconds = () => before + (performance.now() - started) / 1000;
  try {
    await make(plan.folder);
  } catch (error) {
    await writeFileAtomic(spentFile, String(seconds()));
    throw error;
  }
  await writeFileAtomic(join(plan.folder, doneFile), JSON.stringify({ ...plan.stage, seconds: seconds() }, null, 1));
  await writeFileAtomic(join(plan.folder, "..", lastFile), JSON.stringify(plan.stage.key));
  return { seconds: seconds(), skipped: false };
}

async function clear(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (name !== "lock") await Deno.remove(join(folder, name), { recursive: true });
  }
}

/** What a stage left in a JSON file. */
export async function readStage<Value>(plan: StagePlan, file: string): Promise<Value> {
  return JSON.parse(await readText(join(plan.folder, file)));
}
