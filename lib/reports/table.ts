import CliTable from "cli-table3";
import { writeFileAtomic } from "../core/files.ts";
import { count } from "../core/terminal.ts";
import { isLatency } from "../metrics/latency.ts";
import type { Figures } from "../results/figures.ts";
import { checkpointsOf, type PaperFigures } from "../results/paper.ts";
import { type Section, sectionsOf } from "./sections.ts";

/** Narrowest columns of numbers: a figure that changes does not shift its table. */
const narrowest = { number: 12, text: 6 };

/** `table.md`: rendered from the figures, never edited; ours beside the paper's. */
export function renderMarkdown(figures: Figures, paper?: PaperFigures): string {
  const parts = [
    `# ${figures.caption.title}`,
    captionLines(figures, paper).join("\n"),
    ...sectionsOf(figures, paper).map((section) => `## ${section.title}\n\n${markdownTable(section)}`),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Writes `table.md`, whole or not at all. */
export async function writeTable(path: string, figures: Figures, paper?: PaperFigures): Promise<void> {
  await writeFileAtomic(path, renderMarkdown(figures, paper));
}

/** The same tables for a terminal. */
export function renderTerminal(figures: Figures, paper?: PaperFigures): string {
  const sections = sectionsOf(figures, paper).map((section) => `${section.title}\n${terminalTable(section)}`);
  return [figures.caption.title, captionLines(figures, paper).join("\n"), ...sections].join("\n\n");
}

/** What stands under a title: how ours was measured, how the paper's was, and how far they compare. */
export function captionLines(
  { caption, figures, metrics: infos }: Figures,
  paper?: PaperFigures,
): readonly string[] {
  const { experiment, scale, data, features, samples, seeds, guidance, notes = [] } = caption;
  const timed = Object.keys(infos).every(isLatency);
  const overTime = checkpointsOf({ figures }).length > 0;
  const seedWord = seeds.length === 1 ? "seed" : "seeds";
  const spread = seeds.length === 1 ? "of sampling, one training" : "over seeds";
  const sampled = `${features}; ${count(samples)} samples per figure; ${seedWord} ${seeds.join(", ")}; ` +
    `± is the standard error ${spread}`;
  return [
    `- Ours: ${experiment} at scale ${scale}; data ${data}; ${timed ? "of which the shape alone counts" : sampled}.`,
    `- Guidance: ${guidance}`,
    ...notes.map((note) => `- ${note}`),
    ...(paper
      ? [
        `- Paper: ${paper.caption}.` + (scale === "paper" ? "" : " " +
          "Its data, models and features are larger: compare the order of the methods and the course of the columns, " +
          "not the figures."),
      ]
      : []),
    `- ${overTime ? "Columns are samples seen in training; " : ""}– is not measured or not published.`,
  ];
}

function markdownTable({ head, numbersFrom, groups }: Section): string {
  const rows = groups.flat();
  const widths = head.map((title, column) =>
    Math.max(
      ...[title, ...rows.map((row) => row[column]!)].map((text) => [...text].length),
      column >= numbersFrom + 1 ? narrowest.number : narrowest.text,
    )
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => pad(text, widths[column]!, column >= numbersFrom)).join(" | ")} |`;
  const rule = widths.map((width, column) =>
    column >= numbersFrom ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2)
  );
  return [line(head), `|${rule.join("|")}|`, ...rows.map(line)].join("\n");
}

function terminalTable({ head, numbersFrom, groups }: Section): string {
  const table = new CliTable({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, column) => column >= numbersFrom ? "right" as const : "left" as const),
  });
  groups.forEach((group, i) => {
    if (i > 0) table.push(head.map(() => ""));
    group.forEach((row) => table.push([...row]));
  });
  return table.toString();
}

function pad(text: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - [...text].length));
  return right ? space + text : text + space;
}
