import { parseArgs } from "@std/cli";
import { writeFileAtomic } from "../core/files.ts";
import { instead, noOption, Problem } from "../core/problem.ts";
import { beQuiet, say } from "../core/terminal.ts";
import { onGpu } from "../engine/native.ts";
import { benchTable } from "../reports/bench_table.ts";
import type { BenchReport } from "../results/bench.ts";
import { environmentFolders } from "../results/environment.ts";
import { openForBench, runBench, type Way, ways } from "./bench.ts";
import { benchCases } from "./bench_cases.ts";
import { shapeNames, shapeOf } from "./bench_shapes.ts";
import { openPyTorch, pythonWithTorch } from "./pytorch.ts";

const help = `deno task bench                        how fast this machine computes: a table, kept in results/bench/
deno task bench --against pytorch      beside PyTorch, eager and torch.compile, on the same machine and threads
deno task bench --shapes quick --cases train,sample     a part of it; nothing is kept

Timed are training steps (FM, SD-FM, NFM with its teacher's encoding, the teacher), sampling at NFE 31, 15 and 7, the
teacher's cached decoding, a step of the semidiscrete fit and an assignment, the features of the Fréchet distance, the
start of a process and memory. Each runs in turns, A B C A B C, so that what else the machine does slows all alike:
trust the ratios, and the times only of a machine that does nothing else (its load is part of the result). Some ten
minutes with all shapes.

  --shapes A,B      of ${shapeNames.join(", ")}; default quick,desk,wide
${shapeNames.map((name) => `                      ${name.padEnd(9)} ${shapeOf(name).says}`).join("\n")}
  --cases A,B       those whose name starts so: train, train NFM, sample, decode, fit, assign, features, Inception
  --ways A,B        of ${ways.join(", ")}: operation by operation;
                    recorded as one function; as runs do it, which is that with some of it compiled; all compiled with
                    XLA; as runs do it with matrix products in bfloat16; WebAssembly. Default all
  --against pytorch the same in PyTorch, and with its autocast where bf16 is among the ways. The first time this makes a
                    Python environment in the cache folder (some GB)
  --python FILE     a Python of yours that has torch, instead
  --rounds N        turns of each; default 15          --seconds S   length of a turn; default 0.2
  --threads N       for ours and PyTorch alike; default all. One, with the processor times, on a busy machine
  --out FILE        write the result there (.json; the table beside it as .md)
  --json            print the result instead of the table          --quiet   no progress`;

const words = ["threads", "shapes", "cases", "ways", "against", "python", "rounds", "seconds", "out"] as const;
const switches = ["json", "quiet", "help"] as const;

/**
 * `deno task bench`: times this project, and PyTorch beside it.
 *
 * @throws {Problem} for an option that it does not know, and where PyTorch cannot be had
 */
export async function benchCommand(args: readonly string[]): Promise<void> {
  const given = parseArgs(args, {
    string: words,
    boolean: switches,
    alias: { h: "help" },
    unknown: (word, key) => {
      if (key === undefined) throw new Problem(`bench takes options only; what is "${word}"?`);
      throw noOption("bench", word, [...words, ...switches]);
    },
  });
  if (given.help) return console.log(help);
  if (given.quiet) beQuiet();
  const text = (name: typeof words[number]) => given[name] as string | undefined;
  const out = text("out"), threads = text("threads");
  const shapes = among("shapes", text("shapes"), shapeNames, ["quick", "desk", "wide"]);
  const own: readonly Way[] = among("ways", text("ways"), ways, ways);
  const cases = text("cases")?.split(",") ?? [],
    names = shapes.flatMap((shape) => benchCases(shapeOf(shape)).map(({ name }) => name));
  for (const prefix of cases) {
    if (!names.some((name) => name.startsWith(prefix))) {
      throw new Problem(`--cases ${prefix}: ${instead(prefix, names)}`);
    }
  }
  const rounds = positive("rounds", text("rounds"), 15), turnSeconds = positive("seconds", text("seconds"), 0.2);
  if (!Number.isInteger(rounds)) throw new Problem(`--rounds ${given.rounds}: expected a whole number above 0`);
  const against = among("against", text("against"), ["pytorch"], []);
  Deno.env.set("NFM_COMPILED", "none"); // first calls are timed with their compilation
  if (threads !== undefined) useThreads(positive("threads", threads, 1));
  const engine = await openForBench(own);
  const python = against.length === 0 ? undefined : text("python") ?? await pythonWithTorch();
  const pytorch = python === undefined ? undefined : await openPyTorch(
    python,
    Number(threads ?? engine.threads),
    onGpu() ? "cuda" : "cpu",
  );
  let report: BenchReport;
  try {
    report = await runBench(engine, {
      shapes,
      cases,
      ways: own,
      rounds,
      turnSeconds,
      ...(threads !== undefined && { threads: Number(threads) }),
      pytorch,
      environments: environmentFolders[out === undefined ? "committed" : "own"],
    });
  } finally {
    await pytorch?.close();
  }
  const whole = given.shapes === undefined && given.cases === undefined && given.ways === undefined &&
    threads === undefined;
  const path = out ?? (whole ? `results/bench/${report.environment}.json` : undefined);
  if (path !== undefined) {
    await writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`);
    await writeFileAtomic(path.replace(/(\.json)?$/, ".md"), benchTable(report));
    say(`Written: ${path} and its table beside it`);
  }
  console.log(given.json ? JSON.stringify(report, null, 2) : benchTable(report));
}

function among<const Word extends string>(
  name: string,
  given: string | undefined,
  known: readonly Word[],
  otherwise: readonly Word[],
): readonly Word[] {
  if (given === undefined) return otherwise;
  return given.split(",").map((word) => {
    const found = known.find((one) => one === word);
    if (found === undefined) throw new Problem(`--${name} ${word}: ${instead(word, known)}`);
    return found;
  });
}

/** TensorFlow reads these when it is loaded. */
function useThreads(count: number): void {
  for (const pool of ["INTRAOP", "INTEROP"]) Deno.env.set(`TF_NUM_${pool}_THREADS`, String(count));
}

function positive(name: string, given: string | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Problem(`--${name} ${given}: expected a number above 0`);
}
