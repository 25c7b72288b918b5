import { parse } from "@std/yaml";
import { z } from "zod";
import { exists, readText } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { figureKey, type Figures, parseFigureKey } from "./figures.ts";

/** The published figures of a table, under our own keys: `paper.yaml`. */
export interface PaperFigures {
  /** What the paper measured, in a line: data, models, samples. */
  readonly caption: string;
  /** The paper's checkpoints, in samples; they stand beside ours by rank. Empty where nothing is measured over them. */
  readonly checkpoints: readonly number[];
  readonly figures: Readonly<Record<string, number>>;
}

const schema = z.strictObject({
  caption: z.string().min(1),
  checkpoints: z.array(z.int().min(1)).default([]),
  figures: z.record(z.string(), z.number()).default({}),
});

/** Reads `experiments/<experiment>/paper.yaml`; `undefined` when the paper has no such table. */
export async function readPaper(experiment: string): Promise<PaperFigures | undefined> {
  const path = `experiments/${experiment}/paper.yaml`;
  return await exists(path) ? parsePaper(path, await readText(path)) : undefined;
}

/**
 * The same for text that is already here.
 *
 * @throws {Problem} one line naming the file and what is wrong with it.
 */
export function parsePaper(path: string, text: string): PaperFigures {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Problem(`${path}: not YAML: ${(error as Error).message.split("\n")[0]}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new Problem(`${path}: ${issue.path.join(".")}: ${issue.message}`);
  }
  for (const key of Object.keys(parsed.data.figures)) {
    const { checkpoint } = inFile(path, () => parseFigureKey(key));
    if (checkpoint !== undefined && !parsed.data.checkpoints.includes(checkpoint)) {
      throw new Problem(`${path}: "${key}": ${checkpoint} is not among its checkpoints`);
    }
  }
  return parsed.data;
}

function inFile<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    throw error instanceof Problem ? new Problem(`${path}: ${error.message}`, { cause: error }) : error;
  }
}

/** The samples seen at each checkpoint of some figures, increasing. */
export function checkpointsOf({ figures }: Pick<Figures, "figures">): readonly number[] {
  const all = Object.keys(figures).map((key) => parseFigureKey(key).checkpoint).filter((one) => one !== undefined);
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The paper's figure that stands beside ours: the same row, sampler and guidance, the checkpoint of the same rank. */
export function paperFigure(paper: PaperFigures, key: string, ours: readonly number[]): number | undefined {
  const parts = parseFigureKey(key);
  if (parts.checkpoint === undefined) return paper.figures[key];
  // A run with fewer checkpoints than the paper is compared by rank only where the ranks are the same.
  if (ours.length !== paper.checkpoints.length) return undefined;
  const checkpoint = paper.checkpoints[ours.indexOf(parts.checkpoint)];
  return checkpoint === undefined ? undefined : paper.figures[figureKey({ ...parts, checkpoint })];
}
