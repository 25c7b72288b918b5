/**
 * How a recipe describes the members of lib/models/autoencoders.ts: `kind:
 * convolutional` is read by the export `convolutional`. `factor` says by how
 * much the latents' side is shorter than the image's.
 */
import * as z from "zod";

/** The project's own small autoencoder, for the scales whose images Stable Diffusion's does not fit. */
export const convolutional = {
  options: z.strictObject({
    latentChannels: z.int().min(1).default(4).describe("Channels of the latents"),
    widths: z.array(z.int().min(1)).min(1).describe(
      "Channels of each level, from the image inwards; each halves the side",
    ),
    blocks: z.int().min(1).default(1).describe("Residual blocks of each level, on the way in and on the way out"),
  }),
  factor: ({ widths }: { readonly widths: readonly number[] }) => 2 ** widths.length,
};

/** Stable Diffusion's (Rombach et al. 2022), the paper's; its weights are published. */
export const autoencoderKl = {
  options: z.strictObject({}),
  factor: () => 8,
};
