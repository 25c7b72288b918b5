import { type BenchCaseReport, type BenchReport, comparedWay, defaultWay } from "../results/bench.ts";
import { markdownTable } from "./markdown_table.ts";

/** A benchmark as Markdown: what was measured on what, then a table a shape. */
export function benchTable(report: BenchReport): string {
  const { cases, peak, start } = report;
  const ways = [...new Set(cases.flatMap(({ variants }) => Object.keys(variants)))];
  const others = ways.filter((way) => way !== defaultWay);
  const numbers = (title: string) => title !== "case";
  const head = ["case", ...ways, ...others.map((way) => `÷ ${way}`), "of peak", "first call"];
  const shapes = [...new Set(cases.map(({ shape }) => shape))];
  const tables = shapes.map((shape) => {
    const rows = cases.filter((found) => found.shape === shape).map((found) => [
      found.name,
      ...ways.map((way) => time(found, way)),
      ...others.map((way) => ratio(found, way)),
      found.ofPeak === undefined ? "–" : `${Math.round(100 * found.ofPeak)}%`,
      first(found),
    ]);
    return `## ${shape}\n\n${markdownTable(head, rows, numbers)}\n`;
  });
  const peaks = Object.entries(peak).map(([way, { median }]) => `${way} ${Math.round(median)}`).join(", ");
  const starts = Object.entries(start).map(([way, { median, megabytes }]) =>
    `${way} ${median.toFixed(2)} s and ${Math.round(megabytes)} MB`
  ).join(", ");
  const [before, after] = report.load;
  return [
    "# Benchmark",
    "",
    `${report.date.slice(0, 10)}${report.commit ? `, commit ${report.commit.slice(0, 8)}` : ""}, environment ` +
    `${report.environment}, ${report.threads} threads${report.pytorch ? `, PyTorch ${report.pytorch}` : ""}; load of ` +
    `the machine ${before.toFixed(1)} before, ${
      after.toFixed(1)
    } after. Times are medians of ${report.rounds} rounds ` +
    `in milliseconds a call ± half the distance of their quartiles; samples a second in brackets. "÷ X" is the time ` +
    `of ${defaultWay} over that of X, the median of the rounds' ratios: below 1 it is faster than X; ${
      others.some((way) => comparedWay(way) !== defaultWay) ? "where X is another's bf16, that of our bf16; " : ""
    }in brackets the ratio of the processor time of all ` +
    `threads, which a busy machine changes less. "Of peak" counts ` +
    `matrix products alone.`,
    "",
    ...(peaks ? [`Float32 matrix products, 10⁹ operations a second: ${peaks}.`, ""] : []),
    ...(starts ? [`From nothing to the first value: ${starts}.`, ""] : []),
    `The most memory held: ${Math.round(report.peakMegabytes)} MB.`,
    "",
    ...tables,
  ].join("\n");
}

function time({ variants, samples }: BenchCaseReport, way: string): string {
  const found = variants[way];
  if (!found) return "–";
  if ("failed" in found) return "failed";
  const { low, median, high } = found;
  const rate = samples === undefined ? "" : ` (${digits(1000 * samples / median)})`;
  return `${digits(median)} ± ${digits((high - low) / 2)}${rate}`;
}

function ratio({ ratios }: BenchCaseReport, way: string): string {
  const found = ratios[way];
  return found ? `${found.median.toFixed(2)} (${found.processor.toFixed(2)})` : "–";
}

function first({ variants }: BenchCaseReport): string {
  const found = variants[defaultWay];
  return found && !("failed" in found) ? `${found.firstSeconds.toFixed(1)} s` : "–";
}

/** Three digits. */
function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 1 ? 3 : 2);
}
