import { join } from "node:path";
import { Problem } from "../core/problem.ts";
import { turn } from "../core/turn.ts";
import { type Tensors, tf } from "../engine/mod.ts";
import { type Identity, loadCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { type LookAhead, lookAhead } from "./look_ahead.ts";
import { type LossRecord, openLossLog } from "./loss_log.ts";
import type { Trainer } from "./trainer.ts";
import { writeWeights } from "./weights.ts";

export interface TrainLoopOptions {
  /** At step 0; the loop restores it from the newest checkpoint. It stays the caller's. */
  readonly trainer: Trainer;
  /**
   * The batch of step 0, 1, 2 …; the loop disposes it, and begins it some steps
   * ahead. Must depend on the step alone, as draws from `rng.at(step)` do, or a
   * resumed run is another run.
   */
  readonly batch: (step: number) => Promise<Tensors>;
  /** The run's length in optimizer steps. */
  readonly steps: number;
  /** Where checkpoints, kept averages (`averagePath`) and the log of losses (`lossLog`) lie. */
  readonly folder: string;
  /** What a checkpoint must agree in to be resumed from. */
  readonly identity: Identity;
  /** A checkpoint is saved when this long has passed since the last; 0 saves at every step. */
  readonly saveEverySeconds: number;
  /** Steps whose moving average is kept for good, in `averagePath(folder, step)`. */
  readonly keepAverageAt?: readonly number[];
  readonly onStep?: (record: LossRecord) => void;
  /** Told in one sentence when a damaged checkpoint is passed over. */
  readonly warn?: (message: string) => void;
  /** Stops the run after the steps under way, with a checkpoint. */
  readonly signal?: AbortSignal;
}

const checkpointsIn = (folder: string): string => join(folder, "checkpoints");

/** Where `trainLoop` keeps the moving average of `step` (see `readWeights`). */
export function averagePath(folder: string, step: number): string {
  return join(checkpointsIn(folder), `average-${String(step).padStart(9, "0")}.safetensors`);
}

/** Where `trainLoop` logs the losses (see `readLossLog`). */
export const lossLog = (folder: string): string => join(folder, "loss.jsonl");

/**
 * Trains up to `steps`, resuming from the newest whole checkpoint. However
 * often it is stopped or killed, its checkpoints and its log end up the same,
 * byte for byte, on the same engine.
 *
 * @returns the step it resumed from, 0 for a fresh run
 * @throws {Problem} exit code 75 when stopped by `signal`: the same call goes on;
 * 70 when loss or gradient is not finite, with the step before it saved; 74 when the disk refuses.
 */
export async function trainLoop(options: TrainLoopOptions): Promise<{ readonly resumedFrom: number }> {
  const { trainer, steps, folder, identity, warn = console.warn } = options, checkpoints = checkpointsIn(folder);
  const state = await loadCheckpoint(checkpoints, trainer.specs, identity, warn);
  if (state) trainer.restore(state);
  const resumedFrom = trainer.step;
  const log = await openLossLog(lossLog(folder), resumedFrom);
  const batches = lookAhead(options.batch, steps);
  const save = async () => {
    // The log first: a checkpoint must never be ahead of it.
    await log.sync();
    await saveCheckpoint(checkpoints, trainer.specs, await trainer.snapshot(), identity);
  };
  try {
    if (!state) await save(); // a full or read-only disk shows now rather than later
    let savedAt = performance.now(), savedStep = trainer.step;
    while (trainer.step < steps) {
      if (options.signal?.aborted) {
        if (savedStep < trainer.step) await save();
        throw stopped(trainer);
      }
      const { records, failure } = await advance(options, batches);
      for (const record of records) log.append(record);
      if (failure) {
        if (savedStep < trainer.step) await save().catch((error) => warn(`${error.message}`));
        throw failure;
      }
      if (options.keepAverageAt?.includes(trainer.step)) await keepAverage(options);
      if (trainer.step === steps || performance.now() - savedAt >= options.saveEverySeconds * 1000) {
        await save();
        [savedAt, savedStep] = [performance.now(), trainer.step];
      }
      for (const record of records) options.onStep?.(record);
      await turn();
    }
  } finally {
    await batches.dispose();
    log.close();
  }
  return { resumedFrom };
}

/** The next steps, as many as a call is best given and as end where something is to be kept. */
async function advance(
  { trainer, steps, keepAverageAt = [], saveEverySeconds }: TrainLoopOptions,
  batches: LookAhead,
): Promise<{ readonly records: readonly LossRecord[]; readonly failure?: unknown }> {
  const first = trainer.step, end = Math.min(steps, ...keepAverageAt.filter((at) => at > first));
  let tensors: Tensors[] = [];
  try {
    tensors = await batches.take(first, saveEverySeconds === 0 ? 1 : Math.min(trainer.stepsAtOnce, end - first));
    const { reports, failure } = await trainer.trainEach(tensors);
    return { records: reports.map((report, i) => ({ step: first + 1 + i, ...report })), failure };
  } catch (failure) {
    return { records: [], failure };
  } finally {
    tf.dispose(tensors);
  }
}

async function keepAverage({ trainer, folder, identity }: TrainLoopOptions): Promise<void> {
  const flat = await trainer.ema().data<"float32">();
  await writeWeights(averagePath(folder, trainer.step), trainer.specs, flat, {
    ...identity,
    step: String(trainer.step),
    samplesSeen: String(trainer.samplesSeen),
  });
}

function stopped({ name, step }: Trainer): Problem {
  return new Problem(`Training of the ${name} stopped at step ${step}: run the same command to continue`, {
    exitCode: 75,
  });
}
