import { turn } from "../core/turn.ts";
import { type Tensors, tf } from "../engine/mod.ts";

/** Batches that are begun before they are needed. */
export interface LookAhead {
  /** The batch of `step`, which becomes the caller's; steps are asked for in order. */
  next(step: number): Promise<Tensors>;
  /** Waits for the batches that were begun and are not needed, and disposes them. */
  dispose(): Promise<void>;
}

/** Batches under way besides the one in use: while one is waited for, threads can read the next. */
const depth = 2;

/**
 * Begins the batches of the next steps while a step is computed, at the next
 * turn of the event loop: what they wait for (images decoded in other threads)
 * and what they compute is then done meanwhile. A batch depends on its step
 * alone, so this changes no number; a failure is reported at its own step.
 *
 * @param steps the run's length: no batch beyond it is begun
 */
export function lookAhead(batch: (step: number) => Promise<Tensors>, steps: number): LookAhead {
  const begun = new Map<number, Promise<Tensors>>();
  return {
    next(step) {
      for (let ahead = step; ahead <= Math.min(step + depth, steps - 1); ahead++) {
        if (begun.has(ahead)) continue;
        const promise = ahead === step ? batch(ahead) : turn().then(() => batch(ahead));
        promise.catch(() => {}); // not unhandled: whoever asks for the step gets it
        begun.set(ahead, promise);
      }
      const asked = begun.get(step)!;
      begun.delete(step);
      return asked;
    },
    async dispose() {
      const left = await Promise.allSettled(begun.values());
      begun.clear();
      for (const one of left) if (one.status === "fulfilled") tf.dispose(one.value);
    },
  };
}
