import * as z from "zod";
import { dimensionOf, drawData, imageTensor, labelTensor } from "./data_draw.ts";
import type { CouplingKind } from "./types.ts";

const options = z.strictObject({});

/** Noise and data drawn apart: the coupling of plain flow matching (paper §2.1.1). */
export const independent: CouplingKind<typeof options> = {
  options,
  build({ dataset, flips }) {
    const dimension = dimensionOf(dataset.shape);
    return Promise.resolve({
      facts: {},
      async sample(size, rng) {
        const { index, batch } = await drawData(dataset, size, rng, flips);
        return {
          noise: imageTensor(rng.fork("noise").normal(size * dimension), dataset),
          data: imageTensor(batch.data, dataset),
          labels: labelTensor(batch.labels),
          index,
        };
      },
      dispose() {},
    });
  },
};
