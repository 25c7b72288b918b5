import type { Diff } from "../../results/diff.ts";
import type { Environment } from "../../results/environment.ts";
import type { Figures } from "../../results/figures.ts";
import type { PaperFigures } from "../../results/paper.ts";
import type { Provenance } from "../../results/provenance.ts";

/** All that the page shows. */
export interface Report {
  readonly experiments: readonly ExperimentReport[];
  readonly comparison?: Comparison;
  /** What could not be read, a sentence each. */
  readonly faults: readonly string[];
}

/** Two states of the results. */
export interface Comparison {
  readonly diff: Diff;
  /** Whether its later side is what the page shows, so that a changed figure can be a link. */
  readonly shown: boolean;
}

/** One table or figure of the paper, at every scale at which there are results. */
export interface ExperimentReport {
  /** `table4`, or `ablations/<name>`. */
  readonly name: string;
  readonly title: string;
  /** What the paper claims, a paragraph. */
  readonly claim?: string;
  /** The largest scale first. */
  readonly results: readonly ResultReport[];
}

/** A result folder, read. */
export interface ResultReport {
  /** `table4/desk`. */
  readonly name: string;
  readonly figures: Figures;
  readonly paper?: PaperFigures;
  readonly provenance?: Provenance;
  readonly environment?: Environment;
  /** Why the figures are not what today's recipe and code would give; absent while they are. */
  readonly stale?: string;
  /** The lines that make it again. */
  readonly commands: readonly string[];
  /** By the recipe's row. */
  readonly rows: Readonly<Record<string, RowSource>>;
  readonly pictures: readonly Picture[];
}

/** Where a row of the recipe is written, and what it says. */
export interface RowSource {
  /** `experiments/table4/recipe.yaml:51`; absent for a row that the recipe no longer has. */
  readonly written?: string;
  /** `results/table4/desk/resolved.yaml:56`. */
  readonly resolved: string;
  /** The row in `resolved.yaml`, indentation taken off. */
  readonly text: string;
}

/** A plot or a sheet of samples, as `openPicture` gives it. */
export type Picture = Plot | Sheet;

export interface Plot {
  /** `Convergence guided`. */
  readonly title: string;
  /** SVG that is safe within a page. */
  readonly markup: string;
}

export interface Sheet {
  readonly title: string;
  /** What stands for the picture where it cannot be seen. */
  readonly alt: string;
  readonly png: Uint8Array;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** What each row shows, from the top; empty where nothing says so. */
  readonly rows: readonly string[];
}
