import { z } from "zod";
import { readText, writeFileAtomic } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { parseJson } from "../core/json.ts";
import type { Measurement, MetricInfo } from "../metrics/types.ts";
import { runAgain } from "./json.ts";
import { fixed, round } from "./rounding.ts";

/** One figure of a table: a mean over seeds where there are several. */
export interface Figure extends Measurement {
  /** What each seed gave, in the order of the caption's `seeds`. */
  readonly perSeed?: readonly number[];
}

/** What has to be said with the figures for them to mean anything. */
export interface Caption {
  readonly title: string;
  readonly experiment: string;
  readonly scale: string;
  /** The recipe's version: figures of different versions do not compare. */
  readonly version: number;
  /** Data and preparation, for example `mnist 16x16`. */
  readonly data: string;
  /** The feature extractor of the Fréchet distance, with the hash that identifies it. */
  readonly features: string;
  /** Samples per measurement. */
  readonly samples: number;
  readonly seeds: readonly number[];
  /** How the guidance weight was found. */
  readonly guidance: string;
  /** Anything else that a reader must know, a sentence each. */
  readonly notes?: readonly string[];
}

/** A table's figures, in recipe order, and what they need to be read alone: `figures.json`. */
export interface Figures {
  readonly caption: Caption;
  /** How to print each metric that occurs, and which way is better. */
  readonly metrics: Readonly<Record<string, MetricInfo>>;
  /** By `figureKey`. */
  readonly figures: Readonly<Record<string, Figure>>;
}

/** What identifies a figure within its table. A part that does not apply is left out. */
export interface FigureKey {
  /** The recipe's row, or `<row> teacher`. */
  readonly row: string;
  /** Samples that the student had seen. */
  readonly checkpoint?: number;
  /** `heun 7`; the grid follows where it is not t²: `euler 128 linear`. */
  readonly sampler?: string;
  readonly guidance?: "unguided" | "guided";
  /** A key of `Figures.metrics`. */
  readonly metric: string;
}

/**
 * A figure's name in files: readable, one line in a diff, and grouped by its beginning.
 *
 * @example
 * ```ts
 * import { figureKey, parseFigureKey } from "./figures.ts";
 * import { assertEquals } from "@std/assert";
 * const key = { row: "NFM", checkpoint: 200000, sampler: "heun 7", guidance: "guided", metric: "frechet" } as const;
 * assertEquals(figureKey(key), "NFM / 200000 / heun 7 / guided / frechet");
 * assertEquals(parseFigureKey("NFM / 200000 / heun 7 / guided / frechet"), key);
 * ```
 */
export function figureKey({ row, checkpoint, sampler, guidance, metric }: FigureKey): string {
  return [row, checkpoint, sampler, guidance, metric].filter((part) => part !== undefined).join(separator);
}

/** @throws {Problem} when the text is no figure's name. */
export function parseFigureKey(text: string): FigureKey {
  const parts = text.split(separator);
  const row = parts.shift();
  const metric = parts.pop();
  const next = (pattern: RegExp) => pattern.test(parts[0] ?? "") ? parts.shift() : undefined;
  const checkpoint = next(/^\d+$/);
  const sampler = next(/^(euler|heun) \d+( \w+)?$/);
  const guidance = next(/^(un)?guided$/) as FigureKey["guidance"];
  if (!row || !metric || parts.length > 0) {
    throw new Problem(`"${text}" names no figure: expected ROW / CHECKPOINT / SAMPLER / GUIDANCE / METRIC`);
  }
  return {
    row,
    ...(checkpoint !== undefined && { checkpoint: Number(checkpoint) }),
    ...(sampler !== undefined && { sampler }),
    ...(guidance !== undefined && { guidance }),
    metric,
  };
}

/** A sampler's name in a figure's key. */
export function samplerName({ method, nfe, grid }: { method: string; nfe: number; grid: string }): string {
  return grid === "t2" ? `${method} ${nfe}` : `${method} ${nfe} ${grid}`;
}

/** The text of `figures.json`: one measurement a line, digits as honest as `round`; the same figures, the same bytes. */
export function printFigures({ caption, metrics, figures }: Figures): string {
  const lines = Object.entries(figures).map(([key, figure]) => {
    const info = metrics[parseFigureKey(key).metric];
    if (!info) {
      throw new TypeError(`Cannot print figure "${key}": its metric is not among ${Object.keys(metrics).join(", ")}`);
    }
    return `    ${JSON.stringify(key)}: ${printFigure(key, figure, info)}`;
  });
  return [
    "{",
    '  "caption": {',
    members(caption),
    "  },",
    '  "metrics": {',
    members(metrics),
    "  },",
    '  "figures": {',
    lines.join(",\n"),
    "  }",
    "}",
    "",
  ].join("\n");
}

/** A figure's text in the file, after its key: what `git diff` compares. */
export function printFigure(key: string, figure: Figure, info: MetricInfo): string {
  const numbers = [figure.value, figure.standardError ?? 0, ...figure.perSeed ?? []];
  if (!numbers.every(Number.isFinite)) {
    throw new Problem(`Cannot record ${key}: it is ${numbers.join(", ")}, not a number`, { exitCode: 70 });
  }
  const { value, standardError } = round(figure, info);
  const digits = value.split(".")[1]?.length ?? 0;
  const perSeed = figure.perSeed?.map((one) => fixed(one, digits));
  return `{ "value": ${value}${standardError === undefined ? "" : `, "standardError": ${standardError}`}, ` +
    `"sampleCount": ${figure.sampleCount}${perSeed ? `, "perSeed": [${perSeed.join(", ")}]` : ""} }`;
}

/** Writes `figures.json`, whole or not at all. */
export async function writeFigures(path: string, figures: Figures): Promise<void> {
  await writeFileAtomic(path, printFigures(figures));
}

/** @throws {Problem} when the file is missing or is not what `printFigures` writes. */
export async function readFigures(path: string): Promise<Figures> {
  return parseFigures(path, await readText(path));
}

/** The same for text that is already here; `path` is its name in messages. */
export function parseFigures(path: string, text: string): Figures {
  const check = (json: unknown): Figures => {
    const figures = schema.parse(json);
    for (const key of Object.keys(figures.figures)) {
      const { metric } = parseFigureKey(key);
      if (!Object.hasOwn(figures.metrics, metric)) throw new Error(`"${key}" is of no metric that the file describes`);
    }
    return figures;
  };
  return parseJson(path, text, check, runAgain);
}

const separator = " / ";

const schema = z.object({
  caption: z.object({
    title: z.string(),
    experiment: z.string(),
    scale: z.string(),
    version: z.int(),
    data: z.string(),
    features: z.string(),
    samples: z.int(),
    seeds: z.array(z.int()),
    guidance: z.string(),
    notes: z.array(z.string()).exactOptional(),
  }),
  metrics: z.record(
    z.string(),
    z.object({
      label: z.string(),
      unit: z.enum(["", "nats/dim", "bits/dim", "s"]),
      better: z.enum(["lower", "higher", "neither"]),
      digits: z.int(),
    }),
  ),
  figures: z.record(
    z.string(),
    z.object({
      value: z.number(),
      standardError: z.number().exactOptional(),
      sampleCount: z.int(),
      perSeed: z.array(z.number()).exactOptional(),
    }),
  ),
});

/** One member a line; what is inside it stays on the line. */
function members(map: object): string {
  return Object.entries(map).map(([key, value]) => `    ${JSON.stringify(key)}: ${spaced(value)}`).join(",\n");
}

function spaced(value: unknown): string {
  return JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/\[ /g, "[").replace(/ \]/g, "]");
}
