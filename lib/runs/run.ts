import { duration, say } from "../core/terminal.ts";
import type { Engine } from "../engine/types.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { environmentOf } from "./stage_environment.ts";
import { runStage, type StagePlan } from "./stages.ts";
import type { Workbench } from "./workbench.ts";

/** What one run has open. */
export interface Run {
  readonly bench: Workbench;
  readonly recipe: ResolvedRecipe;
  readonly signal: AbortSignal;
  /** Runs a stage unless its result is kept, and notes what it cost. */
  readonly stage: (plan: StagePlan, make: (folder: string) => Promise<void>) => Promise<void>;
}

/** Runs stages, says what it does, and adds up what each group of them cost in `seconds`. */
export function stageRunner(options: RunOptions, seconds: Record<string, number>, engine: Engine): Run["stage"] {
  let noted: Promise<string> | undefined;
  const environment = () => noted ??= environmentOf(engine);
  return async (plan, make) => {
    const { name } = plan.stage;
    const { seconds: spent, skipped } = await runStage(plan, async (folder) => {
      say(`${name}: ${plan.reason}`, options);
      await make(folder);
    }, { environment });
    const group = plan.stage.group ?? name;
    seconds[group] = (seconds[group] ?? 0) + spent;
    if (!skipped) say(`${name}: done in ${duration(spent)}`, options);
    else if (!options.quiet && Deno.stderr.isTerminal()) say(`${name}: unchanged, skipping`, options);
  };
}
