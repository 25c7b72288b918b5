/** How a recipe describes the members of lib/models/autoencoders.ts: `kind: convolutional` is read by the export. */
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
};
