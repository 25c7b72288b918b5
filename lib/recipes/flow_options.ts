/** How a recipe describes the members of lib/models/flows.ts: `kind: tarflow` is read by the export `tarflow`. */
import * as z from "zod";

/** TarFlow (Zhai et al. 2025) with blocks of unequal depth, as the paper's TF-6×2+2×26. */
export const tarflow = {
  options: z.strictObject({
    patch: z.int().min(1).describe("Side of a patch in pixels; a token holds channels · patch² dimensions"),
    width: z.int().min(1).max(65536).describe("Channels inside a block"),
    headWidth: z.int().min(1).default(64).describe("Channels of one attention head"),
    blocks: z.array(z.int().min(1)).min(1).describe("Layers of each block, in the order from data to noise"),
  }),
};
