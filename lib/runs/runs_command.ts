import { parseArgs } from "@std/cli";
import CliTable from "cli-table3";
import { attempt, noOption, Problem } from "../core/problem.ts";
import { duration } from "../core/terminal.ts";
import { markdownTable } from "../reports/markdown_table.ts";
import { missing } from "../reports/sections.ts";
import { staleness } from "../results/stale.ts";
import { folder, openSource, readResults, type Result, type Source, workingTree } from "../results/tree.ts";

const help = `deno task runs               the results of the working tree, and private runs in .nfm/results/
deno task runs WHERE         those of a git revision or in a folder

Of each: experiment, scale, date, commit of the code, seeds, engine, cost (the seconds of its stages, those kept from
an earlier run included), and whether it is stale: not what its recipe would give today, and why.

  --md      Markdown
  --json    for machines`;

const privateRuns = ".nfm/results";
const switches = ["md", "json", "help"] as const;

/** A result in a line. */
interface Run {
  readonly path: string;
  readonly experiment: string;
  readonly scale: string;
  readonly seeds: readonly number[];
  readonly date?: string;
  readonly commit?: string;
  readonly engine?: string;
  readonly overrides?: readonly string[];
  /** Sum of the stages. */
  readonly seconds?: number;
  /** Why it is stale; absent where it is not. */
  readonly stale?: string;
}

/**
 * `deno task runs [WHERE]`: the results that there are, printed to standard output.
 *
 * @throws {Problem} for a word that it does not know, or that is neither revision nor folder
 */
export async function runsCommand(args: readonly string[]): Promise<void> {
  const given = parseArgs(args, {
    boolean: switches,
    string: ["_"],
    alias: { h: "help" },
    unknown: (word, key) => {
      if (key === undefined) return true;
      throw noOption("runs", word, switches);
    },
  });
  if (given["help"]) return console.log(help);
  const [where, ...extra] = given._.map(String);
  if (extra.length > 0) throw new Problem(`runs takes one revision or folder; what is "${extra[0]}"?`);
  const runs: Run[] = [], faults: string[] = [];
  for (const source of await sourcesOf(where)) {
    const read = await readResults(source);
    for (const result of read.results) runs.push(await runOf(result));
    faults.push(...read.faults);
  }
  if (given["json"]) console.log(JSON.stringify({ runs, faults }, null, 2));
  else console.log(given["md"] ? markdownTable(head, runs.map(cells)) : terminal(runs));
  for (const fault of faults) console.error(fault);
}

async function sourcesOf(where: string | undefined): Promise<readonly Source[]> {
  if (where !== undefined) return [await openSource(where)];
  const own = await attempt(() => folder(privateRuns));
  return [await workingTree(), ...(own instanceof Problem ? [] : [own])];
}

async function runOf(result: Result): Promise<Run> {
  const { path, provenance, figures: { caption: { experiment, scale, seeds } } } = result;
  const stale = await staleness(result);
  return {
    path,
    experiment,
    scale,
    seeds,
    ...(provenance && {
      date: provenance.date,
      commit: provenance.commit,
      engine: provenance.engine,
      overrides: provenance.overrides,
      seconds: Number(Object.values(provenance.seconds).reduce((sum, value) => sum + value, 0).toFixed(1)),
    }),
    ...(stale !== undefined && { stale }),
  };
}

const head = ["result", "experiment", "scale", "date", "commit", "seeds", "engine", "cost", "state"];

function cells({ path, experiment, scale, seeds, date, commit, engine, seconds, stale }: Run): string[] {
  return [
    path,
    experiment,
    scale,
    date?.replace(/T(\d\d:\d\d).*$/, " $1") ?? missing,
    commit?.replace(/^([0-9a-f]{7})[0-9a-f]*/, "$1") ?? missing,
    seeds.join(", "),
    // The device is in the machine's record, results/environments/.
    engine?.replace(/ on .*$/, "") ?? missing,
    seconds === undefined ? missing : duration(seconds),
    stale === undefined ? "current" : `stale: ${stale}`,
  ];
}

function terminal(runs: readonly Run[]): string {
  if (runs.length === 0) return "there are no results";
  const table = new CliTable({ head, style: { head: [], border: [], compact: true } });
  table.push(...runs.map(cells));
  return table.toString();
}
