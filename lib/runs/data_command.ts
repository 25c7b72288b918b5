import { Problem } from "../core/problem.ts";
import { beQuiet } from "../core/terminal.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { memberOf } from "./data_member.ts";

/**
 * Says what there is of a recipe's data, prepares what is not prepared yet and
 * verifies it: everything that a run does before it trains, by itself. With
 * `--dry-run` it looks and makes nothing.
 *
 * @throws {Problem} naming what is missing, damaged or not as expected; of both splits, where both are at fault
 */
export async function dataCommand(recipe: ResolvedRecipe, options: RunOptions): Promise<void> {
  if (options.quiet) beQuiet();
  const { member, options: given } = memberOf(recipe.data);
  const problems: Problem[] = [];
  for (const split of ["train", "test"] as const) {
    try {
      if (options.dryRun && member.inspect) {
        const { outline, remarks } = await member.inspect(given, split);
        remarks.forEach((remark) => console.log(`${outline.name} ${split}: ${remark}`));
        continue;
      }
      const { name, size, classes, digest } = await member.load(given, split);
      console.log(`${name} ${split}: ${size} images in ${classes} classes, digest ${digest.slice(0, 12)}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.push(error);
    }
  }
  if (problems.length === 1) throw problems[0]!;
  if (problems.length > 1) {
    throw new Problem(problems.map(({ message }) => message).join("\n"), { exitCode: problems[0]!.exitCode });
  }
}
