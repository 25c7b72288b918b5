/** How a recipe describes the members of lib/models/velocities.ts: `kind: sit` is read by the export `sit`. */
import * as z from "zod";

/** Scalable interpolant transformer (Ma et al. 2024); SiT-XL/4 is patch 4, width 1152, depth 28, heads 16. */
export const sit = {
  options: z.strictObject({
    patch: z.int().min(1).describe("Side of a patch in pixels"),
    width: z.int().min(4).max(65536).multipleOf(4).describe("Channels of a token"),
    depth: z.int().min(1).max(1000).describe("Transformer blocks"),
    heads: z.int().min(1).describe("Attention heads; they divide the width"),
    timeScale: z.number().positive().default(1).describe("Multiplies t before its embedding; SiT feeds the raw t"),
  }),
};
