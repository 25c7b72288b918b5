import type { GoldenSectionResult } from "../sampling/golden_section.ts";

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
