import { parseArgs } from "@std/cli";
import { instead, noOption, Problem } from "../core/problem.ts";
import { renderDiffJson, renderDiffMarkdown, renderDiffTerminal } from "../reports/diff.ts";
import { countVerdicts, type Diff, diffSources } from "../results/diff.ts";
import { openSource, workingTree } from "../results/tree.ts";

const help = `deno task diff               the last commit against the working tree
deno task diff A             A against the working tree
deno task diff A B           A against B

A and B are git revisions (HEAD~1, main, 9b0335d) or folders: of one run (.nfm/results/table4/quick-1a2b3c4d),
of several, or of a project. The folder of one run is compared with the result that it is a variant of.

Every figure that changed: old, new, difference, difference in combined standard errors √(s₁² + s₂²), verdict:
  better, worse   by more than 2 of them (2.9 over three seeds a side, 4.5 over two), or at all where there are none
  within noise    by no more
  changed         neither direction is better, or the two do not compare: another recipe version, data, features, samples
  new, gone       on one side alone
The paper's figure stands beside it where there is one. A result is stale when its recipe has changed since.

  --all                  unchanged figures too
  --md                   Markdown, for a pull request
  --json                 for machines
  --fail-on worse|any    exit status 1 when a figure is worse, or when any is not the same`;

const failures = ["worse", "any"] as const;
const switches = ["md", "json", "all", "help"] as const;

/**
 * `deno task diff [A] [B]`: what changed in the results, printed to standard output.
 *
 * @throws {Problem} for a word that it does not know, or that is neither revision nor folder
 */
export async function diffCommand(args: readonly string[]): Promise<void> {
  const given = parseArgs(args, {
    boolean: switches,
    string: ["fail-on", "_"], // "_": the revision 9e03355 is no number
    alias: { h: "help" },
    unknown: (word, key) => {
      if (key === undefined) return true;
      throw noOption("diff", word, ["fail-on", ...switches]);
    },
  });
  if (given["help"]) return console.log(help);
  const failOn = given["fail-on"] as string | undefined;
  if (failOn !== undefined && !(failures as readonly string[]).includes(failOn)) {
    throw new Problem(`--fail-on ${failOn}: ${instead(failOn, failures)}`);
  }
  const [before = "HEAD", after, ...extra] = given._.map(String);
  if (extra.length > 0) throw new Problem(`diff takes two revisions or folders; what is "${extra[0]}"?`);
  const diff = await diffSources(
    await openSource(before),
    await (after === undefined ? workingTree() : openSource(after)),
  );
  console.log(render(diff, given));
  for (const fault of diff.faults) console.error(fault);
  if (failOn !== undefined && fails(diff, failOn)) Deno.exitCode = 1;
}

function render(diff: Diff, given: Readonly<Record<string, unknown>>): string {
  const all = given["all"] === true;
  if (given["json"]) return renderDiffJson(diff, { all });
  if (given["md"]) return renderDiffMarkdown(diff, { all });
  return renderDiffTerminal(diff, { all, colour: Deno.stdout.isTerminal() && !Deno.noColor });
}

/** What cannot be read may hide something worse: it fails too. */
function fails({ results, faults }: Diff, failOn: string): boolean {
  const counts = countVerdicts(results);
  const any = Object.values(counts).reduce((sum, n) => sum + n, 0) - counts.same;
  return faults.length > 0 || (failOn === "worse" ? counts.worse : any) > 0;
}
