import { turn } from "../core/turn.ts";
import { type Tensors, tf } from "../engine/mod.ts";

/** Batches that are begun before they are needed. */
export interface LookAhead {
  /** The batches of `count` steps from `step` on, which become the caller's; steps are asked for in order. */
  take(step: number, count?: number): Promise<Tensors[]>;
  /** Waits for the batches that were begun and are not needed, and disposes them. */
  dispose(): Promise<void>;
}

/**
 * Begins the batches of the next steps while a step is computed, at the next
 * turn of the event loop: what they wait for (images decoded in other threads)
 * and what they compute is then done meanwhile. A batch depends on its step
 * alone, so this changes no number; a failure is reported when its step is
 * asked for.
 *
 * @param steps the run's length: no batch beyond it is begun
 */
export function lookAhead(batch: (step: number) => Promise<Tensors>, steps: number): LookAhead {
  const begun = new Map<number, Promise<Tensors>>();
  return {
    async take(step, count = 1) {
      // As many again, and one more: while one is waited for, threads can read the next.
      for (let ahead = step; ahead <= Math.min(step + 2 * count, steps - 1); ahead++) {
        if (begun.has(ahead)) continue;
        const promise = ahead < step + count ? batch(ahead) : turn().then(() => batch(ahead));
        promise.catch(() => {}); // not unhandled: whoever asks for the step gets it
        begun.set(ahead, promise);
      }
      const asked = Array.from({ length: count }, (_, i) => begun.get(step + i)!);
      for (let i = 0; i < count; i++) begun.delete(step + i);
      try {
        return await Promise.all(asked);
      } catch (error) {
        await disposeAll(asked);
        throw error;
      }
    },
    async dispose() {
      const left = [...begun.values()];
      begun.clear();
      await disposeAll(left);
    },
  };
}

async function disposeAll(batches: readonly Promise<Tensors>[]): Promise<void> {
  for (const one of await Promise.allSettled(batches)) if (one.status === "fulfilled") tf.dispose(one.value);
}
