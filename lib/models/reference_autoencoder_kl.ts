import { autoencoderKl } from "./autoencoder_kl.ts";
import { countOf, type Reference, type ReferenceShapes } from "./reference_layout.ts";

/**
 * The weights of Stable Diffusion's autoencoder (sd-vae-ft-mse). Ours have the
 * names of diffusers; its files before 2023 call the attention's parts
 * otherwise, and the files of the model's authors
 * (github.com/CompVis/latent-diffusion) all of it, with attention as
 * convolutions of side 1.
 */
export const autoencoderKlReference: Reference = {
  anchor: "encoder.conv_in.weight",
  published: "Stable Diffusion's are published on Hugging Face as stabilityai/sd-vae-ft-mse",
  layoutOf(shapes) {
    const dialect = dialectOf(shapes);
    const shapeOf = (name: string) => shapes.get(dialect(name));
    const firstOf = (level: number) => `encoder.down_blocks.${level}.resnets.0.conv1.weight`;
    const levels = countOf(shapes, /^encoder\.down(?:_blocks)?\.(\d+)\./);
    const widths = Array.from({ length: levels }, (_, i) => shapeOf(firstOf(i))?.[0] ?? 1);
    const layers = countOf(shapes, /^encoder\.down(?:_blocks\.0\.resnets|\.0\.block)\.(\d+)\./);
    const channels = shapeOf("encoder.conv_in.weight")?.[1] ?? 3;
    const latentChannels = shapeOf("post_quant_conv.weight")?.[0] ?? 4;
    const sizes = levels === 0 ? {} : { widths, layers, latentChannels };
    const side = 2 ** (levels || 4);
    return {
      model: `autoencoder of widths [${widths}] with ${latentChannels} latent channels`,
      // The number of groups is not in the weights; one divides every width.
      specs: autoencoderKl({ ...sizes, groups: 1 }, [channels, side, side]).specs,
      placeOf: ({ name, shape }) => {
        const other = dialect(name);
        // Attention as a convolution of side 1: the same values, two axes more.
        const asConvolution = shape.length === 2 && shapes.get(other)?.length === 4;
        return { name: other, ...(asConvolution && { shape: [...shape, 1, 1] }) };
      },
      constants: [],
      ignores: (name) => name.startsWith("loss."),
    };
  },
};

/** From our names to those of a file. */
type Dialect = (name: string) => string;

function dialectOf(shapes: ReferenceShapes): Dialect {
  if (shapes.has("encoder.mid.block_1.conv1.weight")) {
    return authors(countOf(shapes, /^encoder\.down\.(\d+)\./));
  }
  return shapes.has("encoder.mid_block.attentions.0.query.weight") ? olderDiffusers : (name) => name;
}

const olderDiffusers: Dialect = (name) =>
  name.replace(".to_q.", ".query.").replace(".to_k.", ".key.").replace(".to_v.", ".value.")
    .replace(".to_out.0.", ".proj_attn.");

/** The decoder's levels are counted from the image there, from the latents in ours. */
const authors = (levels: number): Dialect => (name) =>
  name.replace(/\.down_blocks\.(\d+)\.resnets\./, ".down.$1.block.")
    .replace(/\.down_blocks\.(\d+)\.downsamplers\.0\./, ".down.$1.downsample.")
    .replace(/\.up_blocks\.(\d+)\.resnets\./, (_, level) => `.up.${levels - 1 - Number(level)}.block.`)
    .replace(/\.up_blocks\.(\d+)\.upsamplers\.0\./, (_, level) => `.up.${levels - 1 - Number(level)}.upsample.`)
    .replace(/\.mid_block\.resnets\.(\d+)\./, (_, i) => `.mid.block_${Number(i) + 1}.`)
    .replace(".mid_block.attentions.0.", ".mid.attn_1.")
    .replace(".group_norm.", ".norm.").replace(".to_q.", ".q.").replace(".to_k.", ".k.").replace(".to_v.", ".v.")
    .replace(".to_out.0.", ".proj_out.").replace(".conv_shortcut.", ".nin_shortcut.")
    .replace(".conv_norm_out.", ".norm_out.");
