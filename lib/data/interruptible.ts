import { turn } from "../core/turn.ts";
import type { Dataset } from "./types.ts";

/**
 * The same images for work that a signal may stop. Before each batch it is heard: work of which every step is
 * computed as soon as it is asked for would never let it come.
 *
 * @throws the signal's reason, at the next batch after an abort
 */
export function interruptible(dataset: Dataset, signal: AbortSignal): Dataset {
  return {
    ...dataset,
    async gather(indices, flipped) {
      await turn();
      signal.throwIfAborted();
      return await dataset.gather(indices, flipped);
    },
  };
}
