import type { Rng } from "../core/rng.ts";
import type { Coupling, Pairs } from "../couplings/types.ts";
import { type Tensors, tf } from "../engine/mod.ts";
import { droppedInBatch, flowMatchingBatch, type FlowMatchingOptions } from "./flow_matching.ts";

export interface StudentBatchOptions extends FlowMatchingOptions {
  /** Pairs in a batch. */
  readonly size: number;
  /**
   * Steps in a row that drawn pairs serve, each time with other t. The loss has
   * the same mean and a larger variance, and teacher or assignment cost so much
   * less. Default 1, as in the paper.
   */
  readonly pairUses?: number;
}

/** The batches of a student's training, each a function of its step alone. */
export interface StudentBatches {
  /** The batch of a step, which the caller disposes; steps are asked for in order. */
  batch(step: number): Promise<Tensors>;
  /** Gives up pairs that steps to come would have used. */
  dispose(): Promise<void>;
}

/** Draws from `coupling` under keys of `rng`: pairs, labels dropped and t are those of any other coupling's batches. */
export function studentBatches(
  coupling: Coupling,
  rng: Rng,
  { size, pairUses = 1, ...options }: StudentBatchOptions,
): StudentBatches {
  const ofLot = (lot: number) => rng.fork("batch").at(lot);
  let held: { readonly lot: number; readonly pairs: Promise<Pairs> } | undefined;
  const pairsOf = async (step: number): Promise<Pairs> => {
    const lot = Math.floor(step / pairUses), isLast = step % pairUses === pairUses - 1;
    const { pairs } = held?.lot === lot ? held : {
      pairs: coupling.sample(size, rng.fork("pairs").at(lot), droppedInBatch(size, ofLot(lot), options)),
    };
    held = isLast ? undefined : { lot, pairs };
    const { data, noise, labels, index } = await pairs;
    return isLast ? await pairs : { data: data.clone(), noise: noise.clone(), labels: labels.clone(), index };
  };
  return {
    async batch(step) {
      const lot = Math.floor(step / pairUses);
      return await flowMatchingBatch(await pairsOf(step), ofLot(step), options, ofLot(lot));
    },
    async dispose() {
      const left = await held?.pairs.catch(() => undefined);
      if (left) tf.dispose([left.data, left.noise, left.labels]);
      held = undefined;
    },
  };
}
