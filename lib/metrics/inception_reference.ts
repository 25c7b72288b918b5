import type { Reference } from "../models/reference_layout.ts";
import { inceptionTensors, isCounter, whereToGetInception } from "./inception_weights.ts";

/**
 * The Inception network of FID: names and layouts of pytorch-fid's file, whose
 * counters of batches are dropped. The classifier is kept where it is there.
 */
export const inceptionReference: Reference = {
  anchor: "Conv2d_1a_3x3.conv.weight",
  published: whereToGetInception,
  layoutOf: (shapes) => ({
    model: "the Inception network of FID",
    specs: inceptionTensors().filter(({ name, optional }) => !optional || shapes.has(name))
      .map(({ name, shape }) => ({ name, shape, init: { kind: "zeros" } })),
    placeOf: () => ({}),
    constants: [],
    ignores: isCounter,
  }),
};
