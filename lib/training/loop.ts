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
  readonly checkpointDir: string;
  /** What a checkpoint must agree in to be resumed from. */
  readonly identity: Identity;
  /** A checkpoint is saved when this long has passed since the last; 0 saves at every step. */
  readonly saveEverySeconds: number;
  /** Steps whose moving average is kept for good, in `averagePath(checkpointDir, step)`. */
  readonly keepAverageAt?: readonly number[];
  /** The log of losses, see `openLossLog`. */
  readonly logPath: string;
  readonly onStep?: (record: LossRecord) => void;
  /** Told in one sentence when a damaged checkpoint is passed over. */
  readonly warn?: (message: string) => void;
  /** Stops the run after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
}

/** Where `trainLoop` keeps the moving average of `step` (see `readWeights`). */
export function averagePath(checkpointDir: string, step: number): string {
  return `${checkpointDir}/average-${String(step).padStart(9, "0")}.safetensors`;
}

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
  const { trainer, steps, checkpointDir, identity, warn = console.warn } = options;
  const state = await loadCheckpoint(checkpointDir, trainer.specs, identity, warn);
  if (state) trainer.restore(state);
  const resumedFrom = trainer.step;
  const log = await openLossLog(options.logPath, resumedFrom);
  const batches = lookAhead(options.batch, steps);
  const save = async () => {
    // The log first: a checkpoint must never be ahead of it.
    await log.sync();
    await saveCheckpoint(checkpointDir, trainer.specs, await trainer.snapshot(), identity);
  };
  try {
    if (!state) await save(); // a full or read-only disk shows now rather than later
    let savedAt = performance.now(), savedStep = trainer.step;
    while (trainer.step < steps) {
      if (options.signal?.aborted) {
        if (savedStep < trainer.step) await save();
        throw stopped(trainer);
      }
      const record = await step(trainer, batches).catch(async (error) => {
        if (savedStep < trainer.step) await save().catch((failure) => warn(`${failure.message}`));
        throw error;
      });
      log.append(record);
      if (options.keepAverageAt?.includes(trainer.step)) await keepAverage(options);
      if (trainer.step === steps || performance.now() - savedAt >= options.saveEverySeconds * 1000) {
        await save();
        [savedAt, savedStep] = [performance.now(), trainer.step];
      }
      options.onStep?.(record);
      await turn();
    }
  } finally {
    await batches.dispose();
    log.close();
  }
  return { resumedFrom };
}

async function step(trainer: Trainer, batches: LookAhead): Promise<LossRecord> {
  const tensors = await batches.next(trainer.step);
  try {
    const report = await trainer.train(tensors);
    return { step: trainer.step, ...report };
  } finally {
    tf.dispose(tensors);
  }
}

async function keepAverage({ trainer, checkpointDir, identity }: TrainLoopOptions): Promise<void> {
  const flat = await trainer.ema().data<"float32">();
  await writeWeights(averagePath(checkpointDir, trainer.step), trainer.specs, flat, {
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
