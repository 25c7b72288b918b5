import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { say } from "../core/terminal.ts";
import type { Engine } from "../engine/mod.ts";
import { factInfo } from "../metrics/coupling_facts.ts";
import { figures as metricInfos } from "../metrics/mod.ts";
import { printRecipe } from "../recipes/print.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { type Figures, parseFigureKey, samplerName, writeFigures } from "../results/figures.ts";
import { memberLines } from "../results/json.ts";
import { printLosses } from "../results/losses.ts";
import { differenceInfo, differenceName } from "../results/paired.ts";
import { readPaper } from "../results/paper.ts";
import { printPictures } from "../results/pictures.ts";
import { collectProvenance, writeProvenance } from "../results/provenance.ts";
import { latencyPlotsOf, writeLatencyPlot } from "../reports/latency_plot.ts";
import { writeLossPlot } from "../reports/loss_plot.ts";
import { plotsOf, writePlot } from "../reports/plot.ts";
import { writeGrid } from "../reports/png_grid.ts";
import { renderTerminal, writeTable } from "../reports/table.ts";
import { readSafetensors } from "../training/safetensors.ts";
import type { StageFigures } from "./cell.ts";
import { gatherFigures, guidanceName } from "./gather.ts";
import { gatherLosses } from "./losses.ts";
import type { RowPlan } from "./plan.ts";
import { readStage, type StagePlan } from "./stages.ts";
import type { Workbench } from "./workbench.ts";

/** Gathers what the stages measured, writes the results and prints the table. */
export async function reportRun(
  recipe: ResolvedRecipe,
  options: RunOptions,
  bench: Workbench,
  rows: readonly RowPlan[],
  seconds: Readonly<Record<string, number>>,
): Promise<void> {
  const figures = await captioned(recipe, options, bench, rows);
  const paper = await readPaper(recipe.experiment);
  const { out } = options;
  await writeFigures(join(out, "figures.json"), figures);
  await writeTable(join(out, "table.md"), figures, paper);
  await writeFileAtomic(join(out, "resolved.yaml"), printRecipe(recipe));
  await writePlots(out, figures);
  await writeLosses(out, rows);
  await writeSamples(out, recipe, bench, rows);
  const searches = await searchLog(rows);
  if (Object.keys(searches).length > 0) await writeFileAtomic(join(out, "guidance.json"), memberLines(searches));
  const provenance = await collectProvenance({ recipe, overrides: options.overrides, engine: bench.engine, seconds });
  await writeProvenance(join(out, "provenance.json"), provenance);
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

/** How the guided figures came about, for the caption. */
function guidanceNote({ evaluation }: ResolvedRecipe, rows: readonly RowPlan[]): string {
  if (rows.every(({ row }) => row.metrics.every((metric) => metric === "latency"))) {
    return `guided is w = ${
      evaluation.latency!.guidanceWeight
    }, unguided w = 1; the weight does not change the work, ` +
      `so none is searched for.`;
  }
  if (!evaluation.guidance.includes("search")) return "none: every figure is unguided, w = 1; the paper's are guided.";
  const { low, high, iterations, samples, seeds } = evaluation.guidanceSearch;
  const ofTeachers = rows.some(({ teacher }) =>
    teacher?.figures.some(({ metric, guidance }) => metric === "teacherFrechet" && guidance === "search")
  );
  const searched = (seeds === "each" ? "for each seed" : "on the first seed, whose weight the others take") +
    (ofTeachers ? "; a teacher's is of u + w (c − u), log-scales and shifts alike, and rises over the tokens" : "");
  return `w of v_u + w (v_c − v_u) by golden section in [${low}, ${high}], ${iterations} iterations on ${samples} ` +
    `samples, for each row, checkpoint and solver, ${searched}; unguided is w = 1.`;
}

function latencyNote({ evaluation }: ResolvedRecipe, { version, device }: Engine): string {
  return `Latency: untrained models (weights do not change the work), float32, ${version} on ${device}; medians of ` +
    `${
      evaluation.latency!.repeats
    } rounds in which all run in turn, ± is the standard error of the median; speed-ups ` +
    `are taken within each round. Timings move from run to run: this table's figures.json is not the same bytes again.`;
}

async function writePlots(out: string, figures: Figures): Promise<void> {
  for (const plot of plotsOf(figures)) await writePlot(join(out, `${plot.name}.svg`), figures, plot);
  for (const plot of latencyPlotsOf(figures)) await writeLatencyPlot(join(out, `${plot.name}.svg`), figures, plot);
}

async function writeLosses(out: string, rows: readonly RowPlan[]): Promise<void> {
  const curves = await gatherLosses(rows);
  if (Object.keys(curves).length === 0) return;
  await writeFileAtomic(join(out, "losses.json"), printLosses(curves));
  await writeLossPlot(join(out, "loss.svg"), curves);
}

/** Rows of the picture: couplings within each solver, the last checkpoint of the first seed, columns the same noise. */
async function writeSamples(
  out: string,
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
    await writeGrid(join(out, file), grid, { shape });
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
        await writeGrid(join(out, file), grid, { shape });
        named[file] = [...drawn.keys()];
      }
    }
  }
  if (Object.keys(named).length > 0) await writeFileAtomic(join(out, "pictures.json"), printPictures(named));
}

async function readPictures(folder: string) {
  return (await readSafetensors(join(folder, "pictures.safetensors"))).tensors;
}

/** Every probe of every search, by what it was for. */
async function searchLog(rows: readonly RowPlan[]): Promise<Readonly<Record<string, unknown>>> {
  const searches: Record<string, unknown> = {};
  const add = async (name: string, { plan }: { plan: StagePlan }) => {
    const { search } = await readStage<StageFigures>(plan, "figures.json");
    if (!search) return;
    const probes = search.probes.map(({ weight, value }) => [Number(weight.toFixed(4)), Number(value.toFixed(3))]);
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
