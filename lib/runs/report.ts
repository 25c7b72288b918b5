import { join } from "node:path";
import { isWithin, removeIfThere, writeFileAtomic } from "../core/files.ts";
import { attempt, Problem } from "../core/problem.ts";
import { say } from "../core/terminal.ts";
import type { Engine } from "../engine/mod.ts";
import { factInfo } from "../metrics/coupling_facts.ts";
import { figures as metricInfos } from "../metrics/mod.ts";
import { printRecipe } from "../recipes/print.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { environmentFolders } from "../results/environment.ts";
import { type Figures, parseFigureKey, samplerName, writeFigures } from "../results/figures.ts";
import { memberLines } from "../results/json.ts";
import { printLosses } from "../results/losses.ts";
import { differenceInfo, differenceName } from "../results/paired.ts";
import type { PaperFigures } from "../results/paper.ts";
import { printPictures } from "../results/pictures.ts";
import { collectProvenance, type ProvenanceInputs, readProvenance, writeProvenance } from "../results/provenance.ts";
import { latencyPlotsOf, writeLatencyPlot } from "../reports/latency_plot.ts";
import { writeLossPlot } from "../reports/loss_plot.ts";
import { plotsOf, writePlot } from "../reports/plot.ts";
import { writeGrid } from "../reports/png_grid.ts";
import { renderTerminal, writeTable } from "../reports/table.ts";
import { readSafetensors } from "../training/safetensors.ts";
import { gatherFigures, guidanceName } from "./gather.ts";
import { gatherLosses } from "./losses.ts";
import type { RowPlan } from "./plan.ts";
import type { StageFigures } from "./stage_figures.ts";
import { readStage, type StagePlan } from "./stages.ts";
import type { Workbench } from "./workbench.ts";

/** Where a file of the results goes, by its name. */
type Place = (name: string) => string;

/**
 * Gathers what the stages measured, writes the results and prints the table.
 * While the folder is being replaced it has no provenance, which a reader is
 * told; what the run before wrote there and this one does not is removed.
 */
export async function reportRun(
  recipe: ResolvedRecipe,
  options: RunOptions,
  bench: Workbench,
  rows: readonly RowPlan[],
  { paper, ...ran }: Pick<ProvenanceInputs, "seconds" | "commit"> & { readonly paper: PaperFigures | undefined },
): Promise<void> {
  const figures = await captioned(recipe, options, bench, rows);
  const { out, overrides, teacher } = options, { engine } = bench;
  const written = new Set<string>();
  const place = (name: string) => join(out, (written.add(name), name));
  const provenanceFile = join(out, "provenance.json"), before = await attempt(() => readProvenance(provenanceFile));
  await removeIfThere(provenanceFile);
  await writeFigures(place("figures.json"), figures);
  await writeTable(place("table.md"), figures, paper);
  await writeFileAtomic(place("resolved.yaml"), printRecipe(recipe));
  await writePlots(place, figures);
  await writeLosses(place, rows);
  await writeSamples(place, recipe, bench, rows);
  const searches = await searchLog(rows);
  if (Object.keys(searches).length > 0) await writeFileAtomic(place("guidance.json"), memberLines(searches));
  const files = [...written], earlier = before instanceof Problem ? [] : before.files ?? [];
  for (const name of earlier) if (!written.has(name)) await removeIfThere(join(out, name));
  // The machine of a run of one's own is described beside it, outside of version control.
  const environments = environmentFolders[isWithin(out, "results") ? "committed" : "own"];
  const inputs = { recipe, overrides, teacher, engine, files, environments, ...ran };
  await writeProvenance(provenanceFile, await collectProvenance(inputs));
  console.log(renderTerminal(figures, paper));
  say(`written to ${out}/: table.md, figures.json, pictures and provenance`, options);
}

/** The figures with all that has to be said with them. */
async function captioned(
  recipe: ResolvedRecipe,
  options: RunOptions,
  bench: Workbench,
  rows: readonly RowPlan[],
): Promise<Figures> {
  const figures = await gatherFigures(recipe, rows, bench);
  const differences = Object.fromEntries(
    rows.map(({ row }) => [differenceName("frechet", row.name), differenceInfo(metricInfos.frechet!, row.name)]),
  );
  const found = [...new Set(Object.keys(figures).map((key) => parseFigureKey(key).metric))];
  const own = found.filter((metric) => !(metric in differences));
  // The differences stand right after the distances that they are of.
  const metrics = own.flatMap((metric) =>
    metric === "frechet" ? [metric, ...Object.keys(differences).filter((name) => found.includes(name))] : [metric]
  );
  const notes = [
    ...(rows.some(({ latency }) => latency) ? [latencyNote(recipe, bench.engine)] : []),
    ...(options.limit !== undefined ? [`Cut to ${options.limit} samples: not comparable with anything.`] : []),
  ];
  return {
    caption: {
      title: recipe.title,
      experiment: recipe.experiment,
      scale: recipe.scale,
      version: recipe.version,
      data: bench.train.name,
      features: bench.featuresName,
      samples: recipe.evaluation.samples,
      seeds: recipe.seeds,
      guidance: guidanceNote(recipe, rows),
      ...(notes.length > 0 && { notes }),
    },
    metrics: Object.fromEntries(
      metrics.map((metric) => [metric, metricInfos[metric] ?? differences[metric] ?? factInfo(metric)]),
    ),
    figures,
  };
}

const guidedWork = "A guided evaluation is two passes of the network and counts once in NFE.";

/** How the guided figures came about, for the caption. */
export function guidanceNote(
  { evaluation }: ResolvedRecipe,
  rows: readonly Pick<RowPlan, "row" | "teacher">[],
): string {
  if (rows.every(({ row }) => row.metrics.every((metric) => metric === "latency"))) {
    return `guided is w = ${
      evaluation.latency!.guidanceWeight
    }, unguided w = 1; the weight does not change the work, ` +
      `so none is searched for. ${guidedWork}`;
  }
  if (!evaluation.guidance.includes("search")) return "none: every figure is unguided, w = 1; the paper's are guided.";
  const { low, high, iterations, samples, seeds } = evaluation.guidanceSearch;
  const ofTeachers = rows.some(({ teacher }) =>
    teacher?.figures.some(({ metric, guidance }) => metric === "teacherFrechet" && guidance === "search")
  );
  const searched = (seeds === "each" ? "for each seed" : "on the first seed, whose weight the others take") +
    (ofTeachers ? "; a teacher's is of u + w (c − u), log-scales and shifts alike, and rises over the tokens" : "");
  return `w of v_u + w (v_c − v_u) by golden section in [${low}, ${high}], ${iterations} iterations on ${samples} ` +
    `samples, for each row, checkpoint and solver, ${searched}; unguided is w = 1. ${guidedWork}`;
}

function latencyNote({ evaluation }: ResolvedRecipe, { version, device }: Engine): string {
  return `Latency: untrained models (weights do not change the work), float32, ${version} on ${device}; medians of ` +
    `${
      evaluation.latency!.repeats
    } rounds in which all run in turn, ± is the standard error of the median; speed-ups ` +
    `are taken within each round. Timings move from run to run: this table's figures.json is not the same bytes again.`;
}

async function writePlots(place: Place, figures: Figures): Promise<void> {
  for (const plot of plotsOf(figures)) await writePlot(place(`${plot.name}.svg`), figures, plot);
  for (const plot of latencyPlotsOf(figures)) await writeLatencyPlot(place(`${plot.name}.svg`), figures, plot);
}

async function writeLosses(place: Place, rows: readonly RowPlan[]): Promise<void> {
  const curves = await gatherLosses(rows);
  if (Object.keys(curves).length === 0) return;
  await writeFileAtomic(place("losses.json"), printLosses(curves));
  await writeLossPlot(place("loss.svg"), curves);
}

/** Rows of the picture: couplings within each solver, the last checkpoint of the first seed, columns the same noise. */
async function writeSamples(
  place: Place,
  recipe: ResolvedRecipe,
  bench: Workbench,
  rows: readonly RowPlan[],
): Promise<void> {
  const { shape } = bench.images.train;
  const last = recipe.evaluation.checkpoints.at(-1);
  const named: Record<string, readonly string[]> = {};
  for (const guidance of recipe.evaluation.guidance) {
    const cells = recipe.evaluation.samplers.flatMap((sampler) =>
      rows.flatMap(({ row, students }) =>
        (students[0]?.cells ?? []).filter((cell) =>
          cell.checkpoint === last && cell.sampler === sampler && cell.guidance === guidance
        ).map(({ plan }) => ({ plan, name: `${row.name}, ${samplerName(sampler)}` }))
      )
    );
    if (cells.length === 0) continue;
    const grid = await Promise.all(
      cells.map(({ plan }) => readPictures(plan.folder).then((all) => all.get("images")!)),
    );
    const file = `samples-${guidanceName(guidance)}.png`;
    await writeGrid(place(file), grid, { shape });
    named[file] = cells.map(({ name }) => name);
  }
  for (const { row, pictures } of rows) {
    for (const { guidance, plan } of pictures) {
      const drawn = await readPictures(plan.folder);
      const name = `${row.name.replace(/[^\p{L}\p{N}.=-]+/gu, "-")}-${guidanceName(guidance)}`;
      for (let label = 0; label < bench.train.classes; label++) {
        const grid = [...drawn.values()].map(({ data }) => {
          const each = data.length / bench.train.classes;
          return { data: data.slice(label * each, (label + 1) * each) };
        });
        const file = `${name}-class-${label}.png`;
        await writeGrid(place(file), grid, { shape });
        named[file] = [...drawn.keys()];
      }
    }
  }
  if (Object.keys(named).length > 0) await writeFileAtomic(place("pictures.json"), printPictures(named));
}

async function readPictures(folder: string) {
  return (await readSafetensors(join(folder, "pictures.safetensors"))).tensors;
}

/** Every probe of every search, by what it was for; `null` where samples were not finite. */
export async function searchLog(
  rows: readonly Pick<RowPlan, "row" | "students" | "teacher">[],
): Promise<Readonly<Record<string, unknown>>> {
  const searches: Record<string, unknown> = {};
  const add = async (name: string, { plan }: { plan: StagePlan }) => {
    const { search } = await readStage<StageFigures>(plan, "figures.json");
    if (!search) return;
    const rounded = (value: number | null, digits: number) => value === null ? null : Number(value.toFixed(digits));
    const probes = search.probes.map(({ weight, value }) => [rounded(weight, 4), rounded(value, 3)]);
    searches[name] = { weight: search.weight, probes };
  };
  for (const { row, students, teacher } of rows) {
    for (const { seed, cells } of students) {
      for (const cell of cells) {
        await add(`${row.name} seed ${seed} at ${cell.checkpoint}, ${samplerName(cell.sampler)}`, cell);
      }
    }
    for (const figures of teacher?.figures ?? []) await add(`${row.name} teacher`, figures);
  }
  return searches;
}
