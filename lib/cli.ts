import { parseArgs } from "@std/cli";
import { isWithin } from "./core/files.ts";
import { instead, noOption, Problem } from "./core/problem.ts";
import { hashOf } from "./core/hash.ts";
import { type ResolvedRecipe, type RunOptions, type Scale, scales, stages } from "./recipes/types.ts";

/** What `--help` prints: enough to work from. */
const help = `nfm reproduces "Flow Matching via Distilled Normalizing Flows" (arXiv 2603.09014), table by table.

  deno task table4                          run an experiment at the quick scale
  deno task table4 --scale desk             the committed results: some ten minutes to an hour, resumable
  deno task table4 --dry-run                what would run, why, and how long; nothing is written
  deno task table4 student.width=128        change a key of the recipe for this run
  deno task table4 seed=1,2,3               several seeds, with their spread
  deno task ablate --list                   what else was tried: the names and titles of ablations/
  deno task show table4 student.width=128   the whole recipe as it would run, changes marked
  deno task data table4 --scale paper       is the data there and sound; prepares ImageNet, resumable
  deno task engine                          which engine computes, and how to install the native one
  deno task diff                            what changed in the results since the last commit: better, worse, noise
  deno task runs                            the results that there are, what they cost, which are stale

Commands (deno run -A lib/cli.ts COMMAND …; a task is a short name for one)
  run EXPERIMENT     train, sample, measure and report experiments/EXPERIMENT/recipe.yaml
  ablate NAME        the same for ablations/NAME.yaml, a difference from an experiment; --list prints their names
  all                run every experiment, one after the other
  show EXPERIMENT    print its recipe at a scale, every key at its final value
  data EXPERIMENT    find, count, prepare and verify its images before a run; with --dry-run only look
  teacher EXPERIMENT   train its teachers and keep them under results/teachers/
  autoencoder EXPERIMENT  train the autoencoder of its data and keep it under results/autoencoders/
  features EXPERIMENT  train the feature network of its data and keep it under results/features/
  report [NAME…]     every result as one HTML file, .nfm/report.html; --serve, --diff: see report --help
  convert FROM TO --model MODEL  weights of the published code to ours, and back
  engine [status | install | remove]
  bench                how fast this machine computes, beside PyTorch if asked: bench --help
  diff [A] [B]         compare the results of two git revisions or folders, figure by figure: diff --help
  runs [WHERE]         list the results of the working tree, a git revision or a folder: runs --help

Scales (--scale)
  quick   MNIST 16×16, or 32×32 where an autoencoder makes latents of it; minutes on two cores (the default)
  desk    Fashion-MNIST, likewise; 2 to 20 minutes a table on two fast cores, an hour on slow ones
  paper   ImageNet, as published

Overrides (Hydra's grammar, as many as you like)
  key=value          change a key: student.model.width=128, or a short form that fits one key: student.width=128
  key=[1,2]  key={a: 1}   lists and maps, quoted from the shell where it needs it
  key=a,b,c          a sweep: one row per value (for seed: one training per seed)
  +key=value         add a key or a row: '+rows.OT={coupling: {kind: semidiscrete}}'
  ++key=value        add or change        ~key   delete: ~rows.FM
  A step with a dot or an = in it stands in quotes: '~rows."η=0.4"'

Options
  --engine auto|native|wasm    what computes; auto takes native TensorFlow where it can be had
  --teacher pretrained|train   use the committed teacher, or train it first
  --force[=STAGE]              redo a stage and those after it: features, teacher, coupling, student, evaluation
  --limit N                    a fast look with at most N samples; its figures mean nothing and never reach results/
  --out DIR                    write the results there
  --dry-run                    print the plan and stop
  --print-config               print the recipe with its changes marked and stop
  --quiet                      no progress

Files written: results/EXPERIMENT/SCALE/ gets figures.json (the measurements), table.md (ours beside the paper's),
losses.json (the course of training), resolved.yaml (what was run), provenance.json (when, where, which commit), *.svg
and *.png; the machine is described once in results/environments/. A run with overrides or --limit writes to
.nfm/results/ instead. Stages are kept in .nfm/ and done again only when something they depend on changed.

Exit codes: 0 done; 1 diff --fail-on found one; 2 a mistake in the command or the recipe; 70 the run failed (NaN);
73 another run holds the lock; 74 disk or file; 75 stopped, start it again to go on.`;

/** A command gets the words after its name, and loads what it needs: the engine only where something is computed. */
const commands: Readonly<Record<string, (args: string[]) => Promise<void>>> = {
  run: (args) => runLine("run", parse("run", args)),
  ablate,
  all: async (args) => {
    const line = parse("all", args);
    if (line.help) return console.log(help);
    if (line.experiment !== undefined || line.overrides.length > 0 || line.out !== undefined) {
      throw new Problem(
        "all runs every experiment as it is written: it takes options, no names, no overrides, no --out",
      );
    }
    await (await import("./runs/all_command.ts")).allCommand(args);
  },
  show,
  data: async (args) => await made("data", args, (await import("./runs/data_command.ts")).dataCommand),
  teacher: async (args) => await made("teacher", args, (await import("./runs/teacher_command.ts")).teacherCommand),
  autoencoder: async (args) =>
    await made("autoencoder", args, (await import("./runs/autoencoder_command.ts")).autoencoderCommand),
  features: async (args) => await made("features", args, (await import("./runs/features_command.ts")).featuresCommand),
  report: async (args) => (await import("./runs/report_command.ts")).reportCommand(args),
  convert: async (args) => (await import("./runs/convert_command.ts")).convertCommand(args),
  engine: async (args) => (await import("./runs/engine_command.ts")).engineCommand(args),
  bench: async (args) => (await import("./runs/bench_command.ts")).benchCommand(args),
  diff: async (args) => (await import("./runs/diff_command.ts")).diffCommand(args),
  runs: async (args) => (await import("./runs/runs_command.ts")).runsCommand(args),
};

/** Runs one command line. A mistake is one line on standard error; a defect keeps its stack. */
export async function main(args: readonly string[]): Promise<void> {
  try {
    await dispatch(args);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.error(error.message);
    Deno.exit(error.exitCode);
  }
}

async function dispatch(args: readonly string[]): Promise<void> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") return console.log(help);
  if (!Object.hasOwn(commands, name)) {
    throw new Problem(`There is no command "${name}"; ${instead(name, Object.keys(commands))}; see --help`);
  }
  await commands[name]!(rest);
}

async function runLine(command: string, line: CommandLine): Promise<void> {
  if (line.help) return console.log(help);
  if (line.printConfig) return await print(command, line);
  const { recipe } = await load(command, line);
  const options = runOptions(line, recipe);
  const { runExperiment } = await import("./runs/pipeline.ts");
  await runExperiment(recipe, options);
}

/** Runs an ablation as the experiment `ablations/NAME`, or lists them. */
async function ablate(args: readonly string[]): Promise<void> {
  const { listAblations, loadRecipe } = await import("./recipes/load.ts");
  if (args.includes("--list")) {
    const names = await listAblations(), width = Math.max(...names.map((name) => name.length));
    for (const name of names) {
      console.log(`${name.padEnd(width)}  ${(await loadRecipe(`ablations/${name}`, "quick")).recipe.title}`);
    }
    return;
  }
  const line = parse("ablate", args), name = line.experiment;
  if (name === undefined && !line.help) {
    throw new Problem(`ablate what? Expected one of ${(await listAblations()).join(", ")}`);
  }
  await runLine("ablate", { ...line, experiment: `ablations/${name}` });
}

/** Runs a command that makes a part of a recipe, with the recipe and the options of `run`. */
async function made(
  name: string,
  args: readonly string[],
  make: (recipe: ResolvedRecipe, options: RunOptions) => Promise<void>,
): Promise<void> {
  const line = parse(name, args);
  if (line.help) return console.log(help);
  const { recipe } = await load(name, line);
  await make(recipe, runOptions(line, recipe));
}

async function show(args: readonly string[]): Promise<void> {
  const line = parse("show", args);
  if (line.help) return console.log(help);
  await print("show", line);
}

async function print(command: string, line: CommandLine): Promise<void> {
  const { recipe, asWritten, layers } = await load(command, line);
  const { printChanges } = await import("./recipes/print.ts");
  const { remarksOf } = await import("./recipes/remarks.ts");
  console.log(printChanges(asWritten, recipe, await remarksOf(layers)).trimEnd());
}

/** A command line taken apart, its words still to be checked against the recipe. */
export interface CommandLine {
  readonly experiment: string | undefined;
  readonly overrides: readonly string[];
  readonly scale: Scale;
  readonly engine: RunOptions["engine"];
  readonly teacher: RunOptions["teacher"];
  readonly force?: NonNullable<RunOptions["force"]>;
  readonly limit?: number;
  readonly out?: string;
  readonly dryRun: boolean;
  readonly printConfig: boolean;
  readonly quiet: boolean;
  readonly help: boolean;
}

const words = ["scale", "engine", "teacher", "force", "limit", "out"] as const;
const switches = ["dry-run", "print-config", "quiet", "help"] as const;

/**
 * Takes apart the words after a command.
 *
 * @throws {Problem} one sentence, with the nearest option or value.
 */
export function parse(command: string, args: readonly string[]): CommandLine {
  const given = parseArgs(args.flatMap((arg) => arg === "--" ? [] : arg === "--force" ? "--force=all" : arg), {
    string: words,
    boolean: switches,
    alias: { h: "help" },
    unknown: (word, key) => {
      if (key === undefined) return true;
      throw noOption(command, word, [...words, ...switches]);
    },
  });
  const positional = given._.map(String);
  const [experiment, ...extra] = positional.filter((word) => !isOverride(word));
  if (extra.length > 0) {
    throw new Problem(`${command} takes one experiment and key=value overrides; what is "${extra[0]}"?`);
  }
  const force = choice(given, "force", ["all", ...stages], undefined);
  const limit = wholeNumber(given, "limit");
  const out = text(given, "out");
  return {
    experiment,
    overrides: positional.filter(isOverride),
    scale: choice(given, "scale", scales, "quick"),
    engine: choice(given, "engine", ["auto", "native", "wasm"], "auto"),
    teacher: choice(given, "teacher", ["pretrained", "train"], "pretrained"),
    ...(force !== undefined && { force }),
    ...(limit !== undefined && { limit }),
    ...(out !== undefined && { out }),
    dryRun: given["dry-run"] === true,
    printConfig: given["print-config"] === true,
    quiet: given["quiet"] === true,
    help: given["help"] === true,
  };
}

async function load(command: string, { experiment, scale, overrides }: CommandLine) {
  const { listExperiments, loadRecipe } = await import("./recipes/load.ts");
  if (experiment === undefined) {
    throw new Problem(`${command} what? Expected one of ${(await listExperiments()).join(", ")}`);
  }
  return await loadRecipe(experiment, scale, overrides);
}

/** A changed or limited recipe gets a folder of its own: committed results are only ever replaced by what they name. */
function runOptions(line: CommandLine, recipe: ResolvedRecipe): RunOptions {
  const { engine, teacher, dryRun, quiet, overrides, force, limit } = line;
  const place = `${recipe.experiment}/${recipe.scale}`;
  const own = overrides.length > 0 || limit !== undefined;
  const folder = own ? `.nfm/results/${place}-${hashOf({ recipe, limit }).slice(0, 8)}` : `results/${place}`;
  if (limit !== undefined && line.out !== undefined && isWithin(line.out, "results")) {
    throw new Problem(
      `--out ${line.out}: a limited run's figures mean nothing and stay out of results/; name another folder`,
    );
  }
  return {
    engine,
    teacher,
    dryRun,
    quiet,
    overrides,
    out: line.out ?? folder,
    ...(force !== undefined && { force }),
    ...(limit !== undefined && { limit }),
  };
}

/** Whether a word is an override rather than a name. */
const isOverride = (word: string) => word.includes("=") || word.startsWith("~") || word.startsWith("+");

type Given = Readonly<Record<string, unknown>>;

/** An option's word; given twice, the last; given without a word, a mistake. */
function text(given: Given, name: string): string | undefined {
  const value = given[name];
  if (value === "") throw new Problem(`--${name} expects a value after it`);
  return value as string | undefined;
}

function choice<const Word extends string, Default>(
  given: Given,
  name: string,
  among: readonly Word[],
  otherwise: Default,
): Word | Default {
  const value = text(given, name);
  if (value === undefined) return otherwise;
  if ((among as readonly string[]).includes(value)) return value as Word;
  throw new Problem(`--${name} ${value}: ${instead(value, among)}`);
}

function wholeNumber(given: Given, name: string): number | undefined {
  const value = text(given, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Problem(`--${name} ${value}: expected a whole number above 0`);
}

if (import.meta.main) await main(Deno.args);
