import CliTable from "cli-table3";
import { duration } from "../core/terminal.ts";
import type { ResolvedRecipe, RunOptions } from "../recipes/types.ts";
import { bytesInWords, modelTable, operations } from "./dry_run_models.ts";
import { h100, type Machine, secondsOn, thisMachine } from "./machine.ts";
import { modelCosts } from "./model_costs.ts";
import { needsOf, roomOf } from "./needs.ts";
import { type RowPlan, stagesOf } from "./plan.ts";
import { type Cost, flopsOf, noCost, onceCosts, stageCosts, sumCosts } from "./stage_costs.ts";
import type { StagePlan } from "./stages.ts";
import type { OutlinedSplits } from "./workbench.ts";

/**
 * Prints what a run needs, what its models take, and every stage: why it must
 * run or why it is skipped, and how long it takes; cells of one student in a line.
 * Nothing of what it needs has to be there.
 */
export async function printPlan(
  recipe: ResolvedRecipe,
  options: RunOptions & { readonly engine: "native" | "wasm" },
  rows: readonly RowPlan[],
  outline: OutlinedSplits,
): Promise<void> {
  const models = modelCosts(recipe, outline.splits);
  const costs = await stageCosts(recipe, rows, outline.splits, models);
  const once = onceCosts(recipe, outline.splits, await models.images());
  const widest = Math.max(...rows.flatMap(({ row }) => [row.teacher.model.width, row.student.model.width]));
  const needs = await needsOf(recipe, rows, outline);
  const ofModels = await modelTable(rows, models);
  // Last: counting and measuring are done on backends of their own.
  const machines = [await thisMachine(options.engine, widest), h100];
  for (const { what, there, note } of needs) console.log(`${there ? "there   " : "missing "} ${what}: ${note}`);
  for (const { what, bytes, where } of roomOf(recipe, rows, outline)) {
    console.log(`takes    ${bytesInWords(bytes)} ${where}: ${what}`);
  }
  console.log(ofModels);
  console.log(stageTable(rows, costs, once, machines));
  for (const { name, basis } of machines) console.log(`${name}: ${basis}`);
}

/** A line of the table: what is done, why, and its cost where it is to be done. */
interface Line {
  readonly name: string;
  readonly run: boolean;
  readonly why: string;
  readonly costs: readonly Cost[];
}

function stageTable(
  rows: readonly RowPlan[],
  costs: ReadonlyMap<string, Cost>,
  once: ReadonlyMap<string, Cost>,
  machines: readonly Machine[],
): string {
  const stages = [...Map.groupBy(stagesOf(rows), ({ stage }) => stage.group ?? stage.name)];
  const lines: Line[] = [
    ...[...once].map(([name, cost]) => ({ name, run: true, why: "once, then kept", costs: [cost] })),
    ...stages.map(([name, members]) => stageLine(name, members, costs)),
  ];
  const table = new CliTable({
    head: ["stage", "", "why", "operations", "here", ...machines.slice(1).map(({ name }) => name)],
    style: { head: [], border: [], compact: true },
  });
  const figuresOf = (costs: readonly Cost[]) => {
    const sum = sumCosts(...costs);
    return [operations(flopsOf(sum)), ...machines.map((machine) => hours(secondsOn(machine, sum)))];
  };
  for (const { name, run, why, costs } of lines) {
    table.push([name, run ? "run" : "skip", why, ...(run ? figuresOf(costs) : ["–", ...machines.map(() => "–")])]);
  }
  table.push(["total", "", "", ...figuresOf(lines.flatMap(({ run, costs }) => run ? costs : []))]);
  return table.toString();
}

function stageLine(name: string, members: readonly StagePlan[], costs: ReadonlyMap<string, Cost>): Line {
  const open = members.filter(({ done }) => !done), run = open.length > 0;
  const many = members.length > 1 ? ` (${open.length} of ${members.length})` : "";
  const why = [...new Set((run ? open : members).map(({ reason }) => reason))].join("; ");
  return { name: name + many, run, why, costs: open.map(({ folder }) => costs.get(folder) ?? noCost) };
}

/** As `duration`; hours alone from a hundred on. */
function hours(seconds: number): string {
  return seconds < 360_000 ? duration(seconds) : `${Math.round(seconds / 3600).toLocaleString("en")} h`;
}
