import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import type { Measurement } from "../metrics/types.ts";
import type { GoldenSectionResult } from "../sampling/golden_section.ts";

/** What a stage that measures leaves in its folder as `figures.json`: by metric. */
export interface StageFigures {
  readonly figures: Readonly<Record<string, Measurement>>;
  readonly search?: Search;
}

/** Where the search for a guidance weight went. */
export interface Search {
  readonly weight: number;
  /** In order; `null`, as JSON has no Infinity, where samples were not finite. */
  readonly probes: readonly { readonly weight: number; readonly value: number | null }[];
}

/** A search as a stage keeps it. */
export function searchOf({ weight, probes }: GoldenSectionResult): Search {
  return { weight, probes: probes.map(({ weight, value }) => ({ weight, value: value === Infinity ? null : value })) };
}

/** Writes what a stage measured. */
export async function writeStageFigures(folder: string, measured: StageFigures): Promise<void> {
  await writeFileAtomic(join(folder, "figures.json"), JSON.stringify(measured, null, 1));
}
