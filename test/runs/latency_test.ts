import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { beQuiet } from "../../lib/core/terminal.ts";
import { openEngine, type Tensor, tf } from "../../lib/engine/mod.ts";
import { bindFlow, bindVelocity } from "../../lib/models/bind.ts";
import { sit } from "../../lib/models/sit.ts";
import { tarflow } from "../../lib/models/tarflow.ts";
import { initialize } from "../../lib/nn/parameters.ts";
import type { NormalizingFlow, VelocityModel } from "../../lib/models/types.ts";
import { parseFigureKey } from "../../lib/results/figures.ts";
import { loadRecipe } from "../../lib/recipes/load.ts";
import { rowRecipes } from "../../lib/recipes/rows.ts";
import { planRows, type RowPlan } from "../../lib/runs/plan.ts";
import type { Run } from "../../lib/runs/run.ts";
import { outlineSplits } from "../../lib/runs/workbench.ts";
import { type LatencyInputs, measureLatency, timeRow } from "../../lib/runs/latency.ts";
import { testOnEngines } from "../engines.ts";

beQuiet();
const shape = [1, 8, 8] as const;
const classes = 3;

/** Small real models whose work is counted: rows per call, and how the flow was guided. */
function counted() {
  const flow = tarflow({ patch: 2, width: 8, headWidth: 4, blocks: [1, 1] }, shape, classes);
  const velocity = sit({ patch: 4, width: 8, depth: 1, heads: 2 }, shape, classes);
  const flats = [flow, velocity].map(({ specs }) => tf.tensor1d(initialize(specs, createRng(1))));
  const teacher = bindFlow(flow, flats[0]!), student = bindVelocity(velocity, flats[1]!);
  const decoded: [number, number][] = [], denoised: number[] = [], evaluated: number[] = [];
  const rows = (x: Tensor) => x.shape[0]!;
  const countedFlow: NormalizingFlow = {
    ...teacher,
    decode(noise, labels, guidance) {
      decoded.push([rows(noise), guidance?.weight ?? 1]);
      return teacher.decode(noise, labels, guidance);
    },
    denoise(noisy, labels, noiseStd) {
      denoised.push(rows(noisy));
      return teacher.denoise(noisy, labels, noiseStd);
    },
  };
  const countedStudent: VelocityModel = {
    velocity(x, t, labels) {
      evaluated.push(rows(x));
      return student.velocity(x, t, labels);
    },
  };
  return { flow: countedFlow, student: countedStudent, decoded, denoised, evaluated, dispose: () => tf.dispose(flats) };
}

/** Everything but the models and what is said of them by `everyKind`. */
const common: Omit<LatencyInputs, "flow" | "student" | "batch" | "guidance"> = {
  noiseStd: 0.1,
  samplers: [{ method: "heun", nfe: 5, grid: "t2" }, { method: "euler", nfe: 2, grid: "linear" }],
  guidanceWeight: 1.5,
  repeats: 1,
  shape,
  classes,
  rng: createRng(0).fork("latency"),
  row: "16 tokens",
  signal: new AbortController().signal,
};

async function everyKind(inputs: Omit<LatencyInputs, "batch" | "guidance">) {
  const figures: Awaited<ReturnType<typeof measureLatency>> = {};
  for (const guidance of ["unguided", "search"] as const) {
    for (const batch of [1, 4]) Object.assign(figures, await measureLatency({ ...inputs, batch, guidance }));
  }
  return figures;
}

testOnEngines(
  "measureLatency() measures teacher, decoding and every solver at every batch and guidance",
  async () => {
    const { flow, student, dispose } = counted();
    const before = tf.memory().numTensors;
    const figures = await everyKind({ ...common, flow, student });
    assertEquals(tf.memory().numTensors, before, "it leaves no tensor behind");
    dispose();
    const names = (guidance: string) =>
      [1, 4].flatMap((batch) => [
        `16 tokens teacher / ${guidance} / secondsBatch${batch}`,
        `16 tokens teacher / ${guidance} / decodeSecondsBatch${batch}`,
        `16 tokens / heun 5 / ${guidance} / secondsBatch${batch}`,
        `16 tokens / heun 5 / ${guidance} / speedupBatch${batch}`,
        `16 tokens / euler 2 linear / ${guidance} / secondsBatch${batch}`,
        `16 tokens / euler 2 linear / ${guidance} / speedupBatch${batch}`,
      ]);
    assertEquals(Object.keys(figures), [...names("unguided"), ...names("guided")]);
    for (const [name, { value, sampleCount }] of Object.entries(figures)) {
      assert(value > 0 && Number.isFinite(value), name);
      assertEquals(sampleCount, 1);
      // Of one round, the speed-up is the quotient of the two times.
      const key = parseFigureKey(name);
      if (!key.metric.startsWith("speedup")) continue;
      const seconds = (row: string) =>
        figures[`${row} / ${key.guidance} / ${key.metric.replace("speedup", "seconds")}`]!.value;
      assertAlmostEquals(value, seconds("16 tokens teacher") / seconds(`16 tokens / ${key.sampler}`), 1e-9 * value);
    }
  },
);

testOnEngines("measureLatency() has teacher and student do the work that it says, and no more", async () => {
  const { flow, student, decoded, denoised, evaluated, dispose } = counted();
  await everyKind({ ...common, flow, student, repeats: 3 });
  dispose();
  // A round that is not timed and three that are; in each the whole teacher and its decoding alone.
  const each = <T>(x: T, times: number) => Array.from({ length: times }, () => x);
  const guided = [1, 1.5].flatMap((weight) => [1, 4].flatMap((batch) => each([batch, weight], 2 * 4)));
  assertEquals(decoded as number[][], guided);
  assertEquals(denoised, [1, 4, 1, 4].flatMap((batch) => each(batch, 4)));
  // Guidance doubles the rows of an evaluation, not their number: 5 + 2 evaluations a round.
  assertEquals(evaluated, [1, 4, 2, 8].flatMap((rows) => each(rows, 7 * 4)));
});

testOnEngines("measureLatency() stops between runs when it is told to", async () => {
  const { flow, student, evaluated, dispose } = counted();
  const stop = new AbortController();
  const stopping: VelocityModel = {
    velocity(x, t, labels) {
      stop.abort(new Error("stopped"));
      return student.velocity(x, t, labels);
    },
  };
  await assertRejects(
    () => everyKind({ ...common, flow, student: stopping, signal: stop.signal }),
    Error,
    "stopped",
  );
  assertEquals(evaluated.length, 5, "the run that was under way is the last");
  dispose();
});

testOnEngines("times are kept for the engine, device and threads that they were measured on", async (engine) => {
  const { recipe } = await loadRecipe("table8", "quick"), { splits } = await outlineSplits(recipe);
  const options = { engine, teacher: "pretrained", dryRun: true, overrides: [], quiet: true, out: "nowhere" } as const;
  const plans = await planRows(recipe, options, splits);
  const { version, device, threads } = await openEngine(engine);
  for (const { latency } of plans) assertEquals(latency!.stage.key["on"], { version, device, threads });
});

Deno.test("timeRow() takes what an interrupted run measured, and measures again what is damaged", async () => {
  await openEngine("wasm");
  const { recipe } = await loadRecipe("table8", "quick"), row = rowRecipes(recipe)[0]!;
  const evaluation = {
    ...recipe.evaluation,
    guidance: ["unguided"],
    latency: { ...recipe.evaluation.latency!, batches: [1], repeats: 1 },
  };
  const run = { bench: { train: { shape, classes } }, recipe: { evaluation }, signal: common.signal } as unknown as Run;
  const teacher = { ...row.teacher, model: { kind: "tarflow", patch: 4, width: 8, headWidth: 4, blocks: [1, 1] } };
  const student = { ...row.student, model: { kind: "sit", patch: 4, width: 8, depth: 1, heads: 2 } };
  const small = { row: { ...row, teacher, student } } as unknown as RowPlan;
  const folder = await Deno.makeTempDir();
  const namesAfter = async (kept: string) => {
    await Deno.writeTextFile(`${folder}/unguided-batch-1.json`, kept);
    await timeRow(run, small, folder);
    return Object.keys(JSON.parse(await Deno.readTextFile(`${folder}/figures.json`)).figures);
  };
  const measured = await namesAfter("");
  assertEquals(measured[0], `${row.name} teacher / unguided / secondsBatch1`);
  for (const damage of ["null", '{"a": 1}', '{"a": {"value": 1']) assertEquals(await namesAfter(damage), measured);
  assertEquals(await namesAfter('{"kept": {"value": 1, "sampleCount": 1}}'), ["kept"]);
  await Deno.remove(folder, { recursive: true });
});
