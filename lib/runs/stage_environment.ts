import { join } from "node:path";
import { z } from "zod";
import { exists, writeFileAtomic } from "../core/files.ts";
import { readJson } from "../core/json.ts";
import { say } from "../core/terminal.ts";
import type { Engine } from "../engine/types.ts";
import { describeEnvironment, environmentFolders, recordEnvironment } from "../results/environment.ts";
import type { StagePlan } from "./stages.ts";

const noteFile = "environments.json";
const noteForm = z.array(z.string());

/** The hash of this machine with the engine that is open, as provenance has it. */
export async function environmentOf(engine: Engine): Promise<string> {
  return await recordEnvironment(await describeEnvironment(engine), environmentFolders.own);
}

/**
 * Notes in a stage's folder that it is made in `environment`, and says so where
 * it was begun in another: engines and processors round differently.
 *
 * @returns all that it was made in, in order
 * @throws {Problem} when what was noted before is damaged
 */
export async function noteEnvironment(plan: StagePlan, environment: string): Promise<readonly string[]> {
  const path = join(plan.folder, noteFile);
  const forget = "remove it, and the result will not say where it was begun";
  const before = await exists(path) ? await readJson(path, (json) => noteForm.parse(json), forget) : [];
  if (before.at(-1) === environment) return before;
  if (before.length > 0) {
    say(
      `${plan.stage.name}: begun in environment ${
        before.join(", then ")
      }, goes on in ${environment}, which may round ` +
        `differently (described in ${environmentFolders.own}/)`,
    );
  }
  const all = [...before, environment];
  await writeFileAtomic(path, JSON.stringify(all));
  return all;
}
