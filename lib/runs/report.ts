import { join } from "node:path";
import { writeFileAtomic } from "../core/files.ts";
import { say } from "../core/terminal.ts";
import { factInfo } from "../metrics/coupling_facts.ts";
import { figures as metricInfos } from "../metrics/mod.ts";
import type { Measurement } from "../metrics/types.ts";
import { printRecipe } from "../recipes/print.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { aggregateSeeds } from "../results/aggregate.ts";
import { type Figure, figureKey, type Figures, parseFigureKey, samplerName, writeFigures } from "../results/figures.ts";
import { differenceInfo, differenceName, pairedDifferences } from "../results/paired.ts";
import { readPaper } from "../results/paper.ts";
import { collectProvenance, writeProvenance } from "../results/provenance.ts";
import { writePlot } from "../reports/plot.ts";
import { writeGrid } from "../reports/png_grid.ts";
import { renderTerminal, writeTable } from "../reports/table.ts";
import { readSafetensors } from "../training/safetensors.ts";
import { type Evaluation, guidanceName } from "./evaluate.ts";
import type { RowPlan } from "./plan.ts";
import { readStage } from "./stages.ts";
import type { Workbench } from "./workbench.ts";

/** Gathers what the stages measured, writes the results and prints the table. */
export async function reportRun(
  recipe: ResolvedRecipe,
  options: RunOptions,
  bench: Workbench,
  rows: readonly RowPlan[],
  seconds: Readonly<Record<string, number>>,
): Promise<void> {
  const figures = await gather(recipe, options, bench, rows);
  const paper = await readPaper(recipe.experiment);
  const { out } = options;
  await writeFigures(join(out, "figures.json"), figures);
  await writeTable(join(out, "table.md"), figures, paper);
  await writeFileAtomic(join(out, "resolved.yaml"), printRecipe(recipe));
  await writePlots(out, figures);
  await writeSamples(out, recipe, bench, rows);
  if (recipe.evaluation.guidance.includes("search")) {
    await writeFileAtomic(join(out, "guidance.json"), await searchLog(rows));
  }
  const provenance = await collectProvenance({ recipe, overrides: options.overrides, engine: bench.engine, seconds });
  await writeProvenance(join(out, "provenance.json"), provenance);
  console.log(renderTerminal(figures, paper));
  say(`written to ${out}/: table.md, figures.json, pictures and provenance`, options);
}

async function gather(
  recipe: ResolvedRecipe,
  options: RunOptions,
  bench: Workbench,
  rows: readonly RowPlan[],
): Promise<Figures> {
  const figures: Record<string, Figure> = {};
  const bySeed: Record<string, Record<string, Measurement>[]> = {};
  for (const { row, teacher, coupling, seeds } of rows) {
    const perSeed: Record<string, Measurement>[] = bySeed[row.name] = [];
    for (const { evaluations } of seeds) {
      const parts = await Promise.all(evaluations.map(({ plan }) => readStage<Evaluation>(plan, "evaluation.json")));
      perSeed.push(Object.assign({}, ...parts.map((part) => part.figures)));
    }
    Object.assign(figures, aggregateSeeds(perSeed));
    for (const [name, value] of Object.entries(await readStage<Record<string, number>>(coupling, "facts.json"))) {
      figures[figureKey({ row: row.name, metric: name })] = { value, sampleCount: bench.train.size };
    }
    if (teacher) Object.assign(figures, (await readStage<Evaluation>(teacher.report, "evaluation.json")).figures);
  }
  Object.assign(figures, pairedDifferences(bySeed, "frechet"));
  const differences = Object.fromEntries(
    rows.map(({ row }) => [differenceName("frechet", row.name), differenceInfo(metricInfos.frechet!, row.name)]),
  );
  const found = [...new Set(Object.keys(figures).map((key) => parseFigureKey(key).metric))];
  const own = found.filter((metric) => !(metric in differences));
  // The differences stand right after the distances that they are of.
  const metrics = own.flatMap((metric) =>
    metric === "frechet" ? [metric, ...Object.keys(differences).filter((name) => found.includes(name))] : [metric]
  );
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
      guidance: guidanceNote(recipe),
      ...(options.limit !== undefined && { notes: [`Cut to ${options.limit} samples: not comparable with anything.`] }),
    },
    metrics: Object.fromEntries(
      metrics.map((metric) => [metric, metricInfos[metric] ?? differences[metric] ?? factInfo(metric)]),
    ),
    figures,
  };
}

/** How the guided figures came about, for the caption. */
function guidanceNote({ evaluation }: ResolvedRecipe): string {
  if (!evaluation.guidance.includes("search")) return "none: every figure is unguided, w = 1; the paper's are guided.";
  const { low, high, iterations, samples, seeds } = evaluation.guidanceSearch;
  const searched = seeds === "each" ? "for each seed" : "on the first seed, whose weight the others take";
  return `w of v_u + w (v_c − v_u) by golden section in [${low}, ${high}], ${iterations} iterations on ${samples} ` +
    `samples, for each row, checkpoint and solver, ${searched}; unguided is w = 1.`;
}

async function writePlots(out: string, figures: Figures): Promise<void> {
  for (const guidance of ["unguided", "guided"] as const) {
    const has = Object.keys(figures.figures).some((text) => {
      const key = parseFigureKey(text);
      return key.metric === "frechet" && key.guidance === guidance && key.checkpoint !== undefined;
    });
    if (has) await writePlot(join(out, `convergence-${guidance}.svg`), figures, { metric: "frechet", guidance });
  }
}

/** Rows of the picture: couplings within each solver, the last checkpoint of the first seed, columns the same noise. */
async function writeSamples(
  out: string,
  recipe: ResolvedRecipe,
  bench: Workbench,
  rows: readonly RowPlan[],
): Promise<void> {
  const pictures = await Promise.all(
    rows.map(async ({ seeds }) =>
      (await readSafetensors(join(seeds[0]!.evaluations.at(-1)!.plan.folder, "pictures.safetensors"))).tensors
    ),
  );
  for (const kind of recipe.evaluation.guidance) {
    const guidance = guidanceName(kind);
    const grid = recipe.evaluation.samplers.flatMap((solver) =>
      pictures.map((tensors) => ({ data: tensors.get(`${samplerName(solver)} ${guidance}`)!.data }))
    );
    await writeGrid(join(out, `samples-${guidance}.png`), grid, { shape: bench.train.shape });
  }
}

/** Every probe of every search, one a line. */
async function searchLog(rows: readonly RowPlan[]): Promise<string> {
  const lines: string[] = [];
  for (const { seeds } of rows) {
    for (const { seed, evaluations } of seeds) {
      for (const { checkpoint, plan } of evaluations) {
        const { searches } = await readStage<Evaluation>(plan, "evaluation.json");
        for (const [solver, { weight, probes }] of Object.entries(searches)) {
          const tried = probes.map(({ weight, value }) => [Number(weight.toFixed(4)), Number(value.toFixed(3))]);
          const name = `${plan.stage.name.replace("evaluation ", "")}, ${solver}`;
          lines.push(`  ${JSON.stringify(name)}: ${JSON.stringify({ seed, checkpoint, weight, probes: tried })}`);
        }
      }
    }
  }
  return `{\n${lines.join(",\n")}\n}\n`;
}
