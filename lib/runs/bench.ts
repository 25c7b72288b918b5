import process from "node:process";
import { git } from "../core/git.ts";
import { withProgress } from "../core/terminal.ts";
import { type Engine, type Execution, forceExecution, openEngine, type ProductType, tf } from "../engine/mod.ts";
import { onGpu } from "../engine/native.ts";
import { type Contender, quartiles, type Timed, timeInTurns } from "../metrics/timing.ts";
import { type BenchCaseReport, type BenchReport, comparedWay, defaultWay, inBfloat16 } from "../results/bench.ts";
import { describeEnvironment, recordEnvironment } from "../results/environment.ts";
import { type BenchCase, benchCases, productCase } from "./bench_cases.ts";
import { peakMemory, startUp } from "./bench_process.ts";
import { stepFlops } from "./bench_flops.ts";
import { type shapeNames, shapeOf } from "./bench_shapes.ts";
import type { BenchSubject } from "./bench_subjects.ts";
import type { PyTorch, PyTorchVariant } from "./pytorch.ts";

/** The ways in which our side runs. */
export const ways = ["eager", "recorded", "traced", "xla", "bf16", "wasm"] as const;
export type Way = typeof ways[number];
const executions: Partial<Record<Way, Execution>> = {
  eager: "eager",
  recorded: "recorded",
  xla: "compiled",
  bf16: "bfloat16",
};

export interface BenchOptions {
  readonly shapes: readonly (typeof shapeNames[number])[];
  /** Cases whose name starts with one of these; all if empty. */
  readonly cases: readonly string[];
  readonly ways: readonly Way[];
  readonly rounds: number;
  readonly turnSeconds: number;
  /** Where they are fewer than the engine's. */
  readonly threads?: number;
  readonly pytorch?: PyTorch | undefined;
  /** Where environments are kept. */
  readonly environments: string;
}

/** Runs the benchmark: every case in every way, in turns. Must be called with the native engine open, or else all is wasm. */
export async function runBench(engine: Engine, options: BenchOptions): Promise<BenchReport> {
  const before = Deno.loadavg()[0]!;
  const native = engine.kind === "native";
  const own = native ? options.ways : options.ways.filter((way) => way === "wasm" || way === defaultWay);
  const entries: Entry[] = [];
  for (const name of options.shapes) entries.push(...await entriesOf(name, options.cases, own, native));
  const side = options.shapes.includes("tiny") ? 64 : onGpu() ? 8192 : 1024, product = productCase(side);
  const productWays = own.filter((way) => way === defaultWay || way === "wasm");
  const contendersOf = (found: BenchCase, here: readonly Way[]) =>
    here.length + Object.keys(torchContenders(found, here, options.pytorch)).length;
  const turns = (options.rounds + 1) *
    entries.reduce(
      (sum, { found, here }) => sum + contendersOf(found, here),
      contendersOf(product, productWays),
    );
  return await withProgress("bench", turns, "turns", async (onProgress) => {
    let done = 0;
    const time = async (found: BenchCase, here: readonly Way[], label: string) => {
      const subjects = subjectsOf(found, here, native);
      const tensors = tf.memory().numTensors;
      const timed = await timeInTurns({ ...subjects.contenders, ...torchContenders(found, here, options.pytorch) }, {
        rounds: options.rounds,
        turnSeconds: options.turnSeconds,
        onTurn: (way) => onProgress(++done, `${label}, ${way}`),
      });
      await subjects.dispose();
      return { timed, leaked: tf.memory().numTensors - tensors };
    };
    const { timed } = await time(product, productWays, product.name);
    const peak = Object.fromEntries(
      Object.entries(timed).flatMap(([way, result]) =>
        result instanceof Error
          ? []
          : [[way, quartiles(result.seconds.map((seconds) => 2 * side ** 3 / 1e9 / seconds))]]
      ),
    );
    const cases: BenchCaseReport[] = [];
    for (const { shape, found, flops, here } of entries) {
      const { timed, leaked } = await time(found, here, `${shape} ${found.name}`);
      cases.push({ ...caseReport(shape, found, timed, flops, peak[defaultWay]?.median), leaked });
    }
    const commit = (await git(["rev-parse", "HEAD"]))?.trim();
    return {
      version: 1,
      date: new Date().toISOString(),
      ...(commit && { commit }),
      environment: await recordEnvironment(await describeEnvironment(engine), options.environments),
      threads: options.threads ?? engine.threads,
      rounds: options.rounds,
      turnSeconds: options.turnSeconds,
      ...(options.pytorch && { pytorch: options.pytorch.version }),
      peak,
      cases,
      start: await startUp(native ? ["native", ...(own.includes("wasm") ? ["wasm"] as const : [])] : ["wasm"]),
      peakMegabytes: peakMemory(),
      load: [before, Deno.loadavg()[0]!],
    };
  });
}

/** A case that is to be timed, and in which of our ways. */
interface Entry {
  readonly shape: string;
  readonly found: BenchCase;
  readonly flops: number | undefined;
  readonly here: readonly Way[];
}

async function entriesOf(
  name: BenchOptions["shapes"][number],
  prefixes: readonly string[],
  own: readonly Way[],
  native: boolean,
): Promise<Entry[]> {
  const shape = shapeOf(name), flops = await stepFlops(shape);
  // Where a native step takes half a second, the embedded engine takes a minute.
  const slow = name === "wide" || name === "large" || name === "inception";
  const here = slow && native && own.length > 1 ? own.filter((way) => way !== "wasm") : own;
  return benchCases(shape)
    .filter(({ name }) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)))
    .map((found) => ({ shape: name, found, flops: flops[found.name], here }));
}

/** The case in each of our ways, each made when it first runs and on its own engine. */
function subjectsOf(found: BenchCase, here: readonly Way[], native: boolean) {
  const made: [Way, BenchSubject][] = [];
  const within = async <Result>(way: Way, run: () => Promise<Result>): Promise<Result> => {
    if (native) await tf.setBackend(way === "wasm" ? "wasm" : "tensorflow");
    forceExecution(executions[way]);
    try {
      return await run();
    } finally {
      forceExecution(undefined);
      if (native) await tf.setBackend("tensorflow");
    }
  };
  const contenders = Object.fromEntries(here.map((way): [Way, Contender] => {
    let subject: BenchSubject | undefined;
    return [way, {
      run: (calls) =>
        within(way, async () => {
          if (!subject) made.push([way, subject = await found.build()]);
          const before = process.cpuUsage();
          await subject.run(calls);
          const { user, system } = process.cpuUsage(before);
          return (user + system) / 1e6 / calls;
        }),
    }];
  }));
  return {
    contenders,
    async dispose() {
      for (const [way, subject] of made) await within(way, () => Promise.resolve(subject.dispose()));
    },
  };
}

/** PyTorch in float32, and where we run in bfloat16 too, beside that. */
function torchContenders(
  { pytorch: same }: BenchCase,
  here: readonly Way[],
  pytorch: PyTorch | undefined,
): Record<string, Contender> {
  if (!pytorch || !same) return {};
  const contender = (variant: PyTorchVariant, products: ProductType): Contender => ({
    run: (calls) => pytorch.run(same, variant, products, calls),
  });
  return {
    "PyTorch": contender("eager", "float32"),
    "torch.compile": contender("compile", "float32"),
    ...(here.includes("bf16") && {
      [`PyTorch${inBfloat16}`]: contender("eager", "bfloat16"),
      [`torch.compile${inBfloat16}`]: contender("compile", "bfloat16"),
    }),
  };
}

function caseReport(
  shape: string,
  { name, samples }: BenchCase,
  timed: Record<string, Timed | Error>,
  flops: number | undefined,
  peak: number | undefined,
): Omit<BenchCaseReport, "leaked"> {
  const own = timed[defaultWay];
  const ratios = Object.fromEntries(
    Object.entries(timed).flatMap(([way, result]) => {
      const ours = timed[comparedWay(way)];
      if (way === defaultWay || result instanceof Error || ours === undefined || ours instanceof Error) return [];
      const of = (key: "seconds" | "processor") => quartiles(ours[key].map((one, round) => one / result[key][round]!));
      return [[way, { ...of("seconds"), processor: of("processor").median }]];
    }),
  );
  const variants = Object.fromEntries(
    Object.entries(timed).map(([way, result]) => {
      if (result instanceof Error) return [way, { failed: result.message.split("\n")[0]! }];
      const { seconds, processor, firstSeconds, calls } = result;
      const times = quartiles(seconds.map((one) => 1000 * one));
      return [way, { ...times, processor: 1000 * quartiles(processor).median, firstSeconds, calls }];
    }),
  );
  const median = own === undefined || own instanceof Error ? undefined : quartiles(own.seconds).median;
  const ofPeak = flops !== undefined && peak !== undefined && median !== undefined
    ? { ofPeak: flops / 1e9 / median / peak }
    : {};
  return { shape, name, ...(samples !== undefined && { samples }), variants, ratios, ...ofPeak };
}

/** Opens the engine for a benchmark: native where it can be had. */
export async function openForBench(own: readonly Way[]): Promise<Engine> {
  const onlyWasm = own.every((way) => way === "wasm");
  const engine = await openEngine(onlyWasm ? "wasm" : "auto");
  if (!onlyWasm && engine.kind === "native" && own.includes("wasm")) {
    await openEngine("wasm");
    await tf.setBackend("tensorflow");
  }
  return engine;
}
