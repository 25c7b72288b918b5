import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { type Tensors, tf } from "../../lib/engine/mod.ts";
import { loadCheckpoint } from "../../lib/training/checkpoint.ts";
import { averagePath } from "../../lib/training/loop.ts";
import { meanLoss, readLossLog } from "../../lib/training/loss_log.ts";
import { readWeights } from "../../lib/training/weights.ts";
import { testOnEngines } from "../engines.ts";
import { leftBehind, tinyBatch, tinyRun, tinyTrainer } from "./tiny_run.ts";

const steps = 12;

/** Runs until after step `k`, where a signal stops it. */
async function runUntil(folder: string, k: number, changes: Parameters<typeof tinyRun>[2] = {}) {
  const stop = new AbortController();
  if (k === 0) stop.abort();
  const onStep = ({ step }: { step: number }) => step === k && stop.abort();
  const problem = await assertRejects(
    () => tinyRun(folder, steps, { signal: stop.signal, onStep, saveEverySeconds: 1e9, ...changes }),
    Problem,
    `stopped at step ${k}: run the same command to continue`,
  );
  assertEquals(problem.exitCode, 75);
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The last checkpoint, the averages and the log: what may not depend on where a run was interrupted. */
async function outcome(folder: string): Promise<Record<string, string>> {
  const files = Object.entries(await leftBehind(folder));
  return Object.fromEntries(files.filter(([name]) => !/step-0000000(0\d|1[01])/.test(name)));
}

testOnEngines(
  "trainLoop() stopped after any step, or three times, ends as an uninterrupted run, byte for byte",
  async () => {
    await withFolder(async (whole) => {
      const before = tf.memory().numTensors;
      const averages = { keepAverageAt: [4, 9] };
      assertEquals(await tinyRun(whole, steps, averages), { resumedFrom: 0 });
      const expected = await outcome(whole);
      assertEquals(Object.keys(expected).sort(), [
        "checkpoints/average-000000004.safetensors",
        "checkpoints/average-000000009.safetensors",
        "checkpoints/step-000000012.safetensors",
        "loss.jsonl",
      ]);
      for (let k = 0; k < steps; k++) {
        await withFolder(async (folder) => {
          await runUntil(folder, k, averages);
          assertEquals(await tinyRun(folder, steps, averages), { resumedFrom: k });
          assertEquals(await outcome(folder), expected, `stopped after step ${k}`);
        });
      }
      await withFolder(async (folder) => {
        for (const k of [3, 4, 10]) await runUntil(folder, k, averages);
        assertEquals(await tinyRun(folder, steps, averages), { resumedFrom: 10 });
        assertEquals(await outcome(folder), expected);
        assertEquals(await tinyRun(folder, steps, averages), { resumedFrom: steps }, "a finished run is left as it is");
        assertEquals(await outcome(folder), expected);
      });
      assertEquals(tf.memory().numTensors, before);
    });
  },
);

testOnEngines("trainLoop() leaves behind the same bytes, however many steps a call of the engine takes", async () => {
  await withFolder(async (plain) => {
    const averages = { keepAverageAt: [4, 9], saveEverySeconds: 1e9 };
    await tinyRun(plain, steps, averages);
    const expected = await outcome(plain);
    const before = tf.memory().numTensors;
    await withFolder(async (folder) => {
      const stop = new AbortController(), calls: number[] = [];
      const counted = () => {
        const trainer = tinyTrainer(steps, 4), { trainEach } = trainer;
        // As on a machine of which four steps take no time.
        return Object.defineProperties(trainer, {
          stepsAtOnce: { value: 4 },
          trainEach: { value: (batches: Tensors[]) => (calls.push(batches.length), trainEach(batches)) },
        });
      };
      const onStep = ({ step }: { step: number }) => step === 7 && stop.abort();
      const stopped = () => tinyRun(folder, steps, { ...averages, trainer: counted(), signal: stop.signal, onStep });
      await assertRejects(stopped, Problem, "stopped at step 8");
      assertEquals(await tinyRun(folder, steps, { ...averages, trainer: counted() }), { resumedFrom: 8 });
      assertEquals(calls, [4, 4, 1, 3], "none across a step whose average is kept");
      assertEquals(await outcome(folder), expected);
    });
    assertEquals(tf.memory().numTensors, before);
  });
});

testOnEngines("trainLoop() keeps two checkpoints, a log that reads back, and averages that load", async () => {
  await withFolder(async (folder) => {
    const reported: number[] = [];
    const trainer = tinyTrainer(steps);
    let average = new Float32Array();
    const dataOf = () => Float32Array.from(trainer.ema().dataSync());
    await tinyRun(folder, steps, {
      trainer,
      keepAverageAt: [9],
      onStep: ({ step, loss }) => {
        reported.push(loss);
        if (step === 9) average = dataOf();
      },
    });
    const names = Object.keys(await leftBehind(folder)).filter((name) => name.includes("step-"));
    assertEquals(names.sort(), ["checkpoints/step-000000011.safetensors", "checkpoints/step-000000012.safetensors"]);
    const log = await readLossLog(`${folder}/loss.jsonl`);
    assertEquals(log.map(({ loss }) => Math.fround(loss)), reported, "the log's digits tell every float32 apart");
    assertEquals(meanLoss(log, 0.25), (log[9]!.loss + log[10]!.loss + log[11]!.loss) / 3);
    const kept = await readWeights(averagePath(folder, 9), trainer.specs);
    assertEquals(kept.flat, average);
    assertEquals([kept.metadata.step, kept.metadata.samplesSeen, kept.metadata.recipe], ["9", "72", "r1"]);
  });
});

testOnEngines("trainLoop() passes over a damaged checkpoint, says so, and still ends the same", async () => {
  await withFolder(async (whole) => {
    await tinyRun(whole, steps);
    await withFolder(async (folder) => {
      await runUntil(folder, 6, { saveEverySeconds: 0 });
      const newest = `${folder}/checkpoints/step-000000006.safetensors`;
      const bytes = await Deno.readFile(newest);
      bytes[bytes.length - 5]! ^= 4;
      await Deno.writeFile(newest, bytes);
      await Deno.writeTextFile(`${newest}.1234.tmp`, "half a checkpoint");
      await runUntil(folder, 5, { warn: () => {}, signal: AbortSignal.abort() });
      assertEquals((await readLossLog(`${folder}/loss.jsonl`)).length, 5, "the log is cut back to the checkpoint");
      const warnings: string[] = [];
      assertEquals(await tinyRun(folder, steps, { warn: (message) => warnings.push(message) }), { resumedFrom: 5 });
      assertEquals(warnings.length, 1);
      assertStringIncludes(warnings[0]!, "step-000000006.safetensors");
      assertEquals(await leftBehind(folder), await leftBehind(whole));
    });
  });
});

testOnEngines(
  "trainLoop() refuses damaged checkpoints, another recipe's and a log cut short, and touches none",
  async () => {
    await withFolder(async (folder) => {
      await runUntil(folder, 3, { saveEverySeconds: 0 });
      const before = await leftBehind(folder);
      const refused = async (exitCode: number, words: string, changes: Parameters<typeof tinyRun>[2] = {}) => {
        const problem = await assertRejects(
          () => tinyRun(folder, steps, { warn: () => {}, ...changes }),
          Problem,
          words,
        );
        assertEquals(problem.exitCode, exitCode);
      };
      await refused(2, "identity.recipe is r1, this run's is r2", { identity: { recipe: "r2" } });
      await refused(2, "identity.engine is unknown, this run's is wasm", {
        identity: { recipe: "r1", engine: "wasm" },
      });
      assertEquals(await leftBehind(folder), before);
      await Deno.truncate(`${folder}/loss.jsonl`, 70);
      await refused(74, "ends after step");
      for (const step of [2, 3]) await Deno.truncate(`${folder}/checkpoints/step-00000000${step}.safetensors`, 100);
      await refused(74, "none of its 2 checkpoints is whole");
    });
  },
);

testOnEngines("trainLoop() saves the last good step when the loss is not finite", async () => {
  await withFolder(async (folder) => {
    const batch = async (step: number) => {
      const { x, y } = await tinyBatch(step);
      return { x: x!, y: step < 7 ? y! : tf.tidy(() => tf.dispose(y) ?? tf.fill([8, 1], NaN)) };
    };
    const trainer = tinyTrainer(steps);
    const { specs } = trainer;
    const problem = await assertRejects(
      () => tinyRun(folder, steps, { trainer, batch, saveEverySeconds: 1e9 }),
      Problem,
      "at step 8 the loss is NaN",
    );
    assertEquals(problem.exitCode, 70);
    const state = await loadCheckpoint(`${folder}/checkpoints`, specs, { recipe: "r1" }, () => {});
    assertEquals(state!.step, 7);
    assert(state!.parameters.every(Number.isFinite) && state!.secondMoment.every(Number.isFinite));
    assertEquals((await readLossLog(`${folder}/loss.jsonl`)).length, 7);
  });
});

testOnEngines("trainLoop() lets events in at every step, and saves no more often than asked", async () => {
  await withFolder(async (folder) => {
    const stop = new AbortController();
    const onStep = ({ step }: { step: number }) => step === 1 && setTimeout(() => stop.abort(), 0);
    await assertRejects(
      () => tinyRun(folder, 5000, { signal: stop.signal, onStep, saveEverySeconds: 1e9 }),
      Problem,
      "run the same command",
    );
  });
  await withFolder(async (folder) => {
    await tinyRun(folder, 40, { saveEverySeconds: 1e9 });
    assertEquals(Object.keys(await leftBehind(folder)).filter((name) => name.includes("step-")).sort(), [
      "checkpoints/step-000000000.safetensors",
      "checkpoints/step-000000040.safetensors",
    ]);
  });
});

testOnEngines(
  "trainLoop() has begun the next two batches before it waits for one, so that decoding goes on meanwhile",
  async () => {
    await withFolder(async (folder) => {
      const begun = Array.from({ length: steps }, () => Promise.withResolvers<void>());
      // Each batch is ready only once the two after it are begun: a loop that asks for one at a time never ends.
      const batch = async (step: number) => {
        begun[step]!.resolve();
        await Promise.all([1, 2].map((ahead) => begun[Math.min(step + ahead, steps - 1)]!.promise));
        return await tinyBatch(step);
      };
      await withFolder(async (plain) => {
        await tinyRun(plain, steps);
        await tinyRun(folder, steps, { batch });
        assertEquals(await outcome(folder), await outcome(plain));
      });
    });
  },
);
