import { styleText } from "node:util";
import CliTable from "cli-table3";
import type { MetricInfo } from "../metrics/types.ts";
import { type Verdict, verdicts } from "../results/compare.ts";
import { noise } from "../results/noise.ts";
import { countVerdicts, type Diff, type PaperChange, type ResultDiff } from "../results/diff.ts";
import type { Figures } from "../results/figures.ts";
import { round } from "../results/rounding.ts";
import { markdownTable } from "./markdown_table.ts";
import { cell, missing, paperCell } from "./sections.ts";

/** How a comparison is drawn. */
export interface DiffOptions {
  /** Figures that did not change too, and those of results that are new or gone as a whole. */
  readonly all: boolean;
  /** Verdicts in colour, beside their words. */
  readonly colour?: boolean;
}

/** A comparison for a terminal: a table for each result, and a last line that counts the verdicts. */
export function renderDiffTerminal(diff: Diff, { all, colour = false }: DiffOptions): string {
  const paint = (verdict: string) => colour ? painted(verdict as Verdict) : verdict;
  const parts = shownResults(diff, all).map((result) => {
    const { head, rows } = tableOf(result, all);
    const text = [result.place, ...remarks(result, all).map((remark) => `  ${remark}`)].join("\n");
    if (rows.length === 0) return text;
    const table = new CliTable({
      head: [...head],
      style: { head: [], border: [], compact: true },
      colAligns: head.map((title) => leftAligned.has(title) ? "left" as const : "right" as const),
    });
    for (const row of rows) table.push(row.map((text, column) => head[column] === "verdict" ? paint(text) : text));
    return `${text}\n${table}`;
  });
  return [...parts, summary(diff)].join("\n\n");
}

/** The same as Markdown, for a pull request. */
export function renderDiffMarkdown(diff: Diff, { all }: DiffOptions): string {
  const parts = shownResults(diff, all).map((result) => {
    const { head, rows } = tableOf(result, all);
    const emphasised = rows.map((row) =>
      row.map((text, i) => head[i] === "verdict" && loud.has(text) ? `**${text}**` : text)
    );
    const said = remarks(result, all).map((remark) => `- ${remark}`);
    return [
      `### ${result.place}`,
      ...(said.length > 0 ? [said.join("\n")] : []),
      ...(rows.length > 0 ? [markdownTable(head, emphasised, (title) => !leftAligned.has(title))] : []),
    ].join("\n\n");
  });
  return [...parts, summary(diff)].join("\n\n");
}

/** The same for machines: keys are only ever added. */
export function renderDiffJson(diff: Diff, { all }: DiffOptions): string {
  const side = ({ name, commit }: Diff["before"]) => ({ name, commit });
  const results = diff.results.map(({ place, before, after, captions, recipe, stale, changes }) => ({
    place,
    before: before?.path,
    after: after?.path,
    comparable: captions.comparable,
    captions: captions.differences,
    recipe,
    stale,
    changes: changes.filter(({ verdict }) => all || verdict !== "same"),
  }));
  const { before, after, faults } = diff;
  const whole = { before: side(before), after: side(after), results, counts: countVerdicts(diff.results), faults };
  return JSON.stringify(whole, null, 2);
}

/** Heads of the columns that hold words. */
export const leftAligned = new Set(["figure", "verdict"]);
const loud = new Set<string>(["better", "worse"] satisfies Verdict[]);

function painted(verdict: Verdict): string {
  const colours = { better: "green", worse: "red", changed: "yellow", new: "cyan", gone: "magenta" } as const;
  const colour = verdict in colours ? colours[verdict as keyof typeof colours] : "dim";
  // Whether there is a terminal to take it was asked by the caller.
  return styleText(colour, verdict, { validateStream: false });
}

/** Results in which something changed, or that are stale. */
export function shownResults({ results }: Diff, all: boolean): readonly ResultDiff[] {
  return results.filter((result) => all || staleOf(result) !== undefined || moved(result).length > 0);
}

const moved = ({ changes }: ResultDiff) => changes.filter(({ verdict }) => verdict !== "same");
/** Of the side that is there to stay. */
const staleOf = ({ after, stale }: ResultDiff) => after ? stale.after : stale.before;

/** What a reader must know before the figures, a line each. */
export function remarks(result: ResultDiff, all: boolean): readonly string[] {
  const { before, after, captions, recipe, changes } = result;
  const stale = staleOf(result);
  const seeds = Math.min(...[before, after].map((side) => side?.figures.caption.seeds.length ?? Infinity));
  const whole = !before ? "new" : !after ? "gone" : undefined;
  const judged = changes.some(({ verdict }) => verdict === "better" || verdict === "worse");
  return [
    ...(stale === undefined ? [] : [`stale: ${stale}`]),
    ...(recipe === undefined ? [] : [`the recipe changed between the two: ${recipe}`]),
    ...(captions.comparable ? [] : ["the two do not compare, nothing is better or worse:"]),
    ...captions.differences,
    ...(judged && seeds === 1
      ? ["one seed: the standard errors are of sampling alone, another training differs by more"]
      : []),
    ...(whole !== undefined && !all ? [`${whole} as a whole: ${changes.length} figures (--all lists them)`] : []),
    ...(whole === undefined && moved(result).length === 0 ? ["no figure changed"] : []),
    ...(showsPaper(listed(result, all)) && (after ?? before)!.figures.caption.scale !== "paper"
      ? ["paper: larger data, models and features; the order compares, not the figures"]
      : []),
  ];
}

/** The figures that the table of a result has. */
function listed(result: ResultDiff, all: boolean): readonly PaperChange[] {
  if (all) return result.changes;
  return result.before && result.after ? moved(result) : [];
}

const showsPaper = (changes: readonly PaperChange[]) => changes.some(({ paper }) => paper !== undefined);

/** Its figures as plain cells, the figure's key first. */
export function tableOf(
  result: ResultDiff,
  all: boolean,
): { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const changes = listed(result, all);
  const paper = showsPaper(changes);
  const [was, is] = [result.before?.figures, result.after?.figures];
  return {
    head: [
      "figure",
      "old",
      "new",
      "new − old",
      "in s.e.",
      "verdict",
      ...(paper ? ["paper", "new − paper"] : []),
    ],
    rows: changes.map((change) => [
      change.key,
      cell(change.before, (was ?? is)!.metrics[change.metric]!),
      cell(change.after, (is ?? was)!.metrics[change.metric]!),
      differenceText(change, was, is),
      change.inStandardErrors === undefined ? missing : signed(change.inStandardErrors, 1),
      change.verdict,
      ...(paper ? paperCells(change, (is ?? was)!) : []),
    ]),
  };
}

function differenceText({ metric, before, after, difference }: PaperChange, was?: Figures, is?: Figures): string {
  if (difference === undefined) return missing;
  const digits = (figures: Figures, figure: PaperChange["after"]) =>
    decimals(round(figure!, figures.metrics[metric]!).value);
  return signed(difference, Math.max(digits(was!, before), digits(is!, after)));
}

function paperCells({ metric, after, paper }: PaperChange, { metrics }: Figures): readonly string[] {
  if (paper === undefined) return [missing, missing];
  const info: MetricInfo = metrics[metric]!;
  if (!after) return [paperCell(paper, info), missing];
  const printed = round(after, info).value;
  return [paperCell(paper, info), signed(Number(printed) - paper, decimals(printed))];
}

function signed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return Number(text) > 0 ? `+${text}` : text.replace(/^-(0(\.0*)?)$/, "$1");
}

const decimals = (text: string) => text.split(".")[1]?.length ?? 0;

/** The verdicts counted, and what they were given by. */
function summary(diff: Diff): string {
  const counts = countVerdicts(diff.results);
  const { before, after, results } = diff;
  const stale = results.filter((result) => staleOf(result) !== undefined).length;
  const words = verdicts.filter((verdict) => counts[verdict] > 0).map((verdict) => `${counts[verdict]} ${verdict}`);
  return `${before.name} → ${after.name}: ${words.join(", ") || "no results"}` +
    (stale > 0 ? `; ${stale} of ${results.length} results stale` : "") +
    `. Within noise: at most ${noise} combined standard errors, more where they are over few seeds.`;
}
