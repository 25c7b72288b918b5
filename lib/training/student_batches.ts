import type { Rng } from "../core/rng.ts";
import type { Coupling, Pairs } from "../couplings/types.ts";
import { type Tensors, tf } from "../engine/mod.ts";
import { droppedInBatch, flowMatchingBatch, type FlowMatchingOptions } from "./flow_matching.ts";

export interface StudentBatchOptions extends FlowMatchingOptions {
  /** Pairs in a batch. */
  readonly size: number;
  /**
   * Steps that drawn pairs serve, each time with other t, so that teacher or
   * assignment cost so much less. The loss keeps its mean. 1 in the paper.
   */
  readonly pairUses: number;
  /**
   * Steps from one use of pairs to the next; so many batches are held. Default
   * 32: in a row, the same pairs teach far less (ablations/LOG.md).
   */
  readonly apart?: number;
}

/** The batches of a student's training, each a function of its step alone. */
export interface StudentBatches {
  /** The batch of a step, which the caller disposes; steps are asked for in order. */
  batch(step: number): Promise<Tensors>;
  /** Gives up pairs that steps to come would have used. */
  dispose(): Promise<void>;
}

/** Pairs that are drawn at once from a coupling whose draws cost less together; so many are held. */
const together = 1024;

/** Draws from `coupling` under keys of `rng`: pairs, labels dropped and t are those of any other coupling's batches. */
export function studentBatches(
  coupling: Coupling,
  rng: Rng,
  { size, pairUses, apart = 32, ...options }: StudentBatchOptions,
): StudentBatches {
  /** Lots of pairs go round `pairUses` times, `apart` of them, then come the next. */
  const placeOf = (step: number) => {
    const round = Math.floor(step / apart), lot = Math.floor(round / pairUses) * apart + step % apart;
    return { lot, isLast: round % pairUses === pairUses - 1 };
  };
  const key = (index: number) => rng.fork("batch").at(index);
  const pairsKey = (lot: number) => rng.fork("pairs").at(lot);
  const held = new Map<number, Promise<Pairs>>();
  /** With a lot all others of its group, which begins at a multiple of its length whichever step is the first. */
  const draw = (lot: number): Promise<Pairs> => {
    if (!coupling.sampleEach) {
      return coupling.sample(size, pairsKey(lot), droppedInBatch(size, key(lot), options));
    }
    const length = Math.max(1, Math.floor(together / size)), first = lot - lot % length;
    const group = coupling.sampleEach(size, Array.from({ length }, (_, i) => pairsKey(first + i)));
    for (let i = 0; i < length; i++) {
      const pairs = group.then((drawn) => drawn[i]!);
      pairs.catch(() => {}); // not unhandled: whoever asks for the lot gets it
      held.set(first + i, pairs);
    }
    return held.get(lot)!;
  };
  const pairsOf = async ({ lot, isLast }: ReturnType<typeof placeOf>): Promise<Pairs> => {
    const drawn = held.get(lot) ?? draw(lot);
    if (isLast) held.delete(lot);
    else held.set(lot, drawn);
    const pairs = await drawn;
    if (isLast) return pairs;
    const { data, noise, labels, index } = pairs;
    return { data: data.clone(), noise: noise.clone(), labels: labels.clone(), index };
  };
  return {
    async batch(step) {
      const place = placeOf(step);
      return await flowMatchingBatch(await pairsOf(place), key(step), options, key(place.lot));
    },
    async dispose() {
      for (const left of await Promise.allSettled(held.values())) {
        if (left.status === "fulfilled") tf.dispose([left.value.data, left.value.noise, left.value.labels]);
      }
      held.clear();
    },
  };
}
