import { sizeOf } from "../nn/parameters.ts";
import { countOf, type Reference } from "./reference_layout.ts";
import { tarflow } from "./tarflow.ts";

/**
 * The weights of TarFlow (arXiv 2412.06329, github.com/apple/ml-tarflow): names
 * and layouts are ours, and causal masks and a prior variance of one besides.
 */
export const tarflowReference: Reference = {
  anchor: "blocks.0.proj_in.weight",
  published: "TarFlow's are published under https://github.com/apple/ml-tarflow",
  layoutOf(shapes) {
    const [width = 1, tokenWidth = 1] = shapes.get("blocks.0.proj_in.weight") ?? [];
    const tokens = shapes.get("blocks.0.pos_embed")?.[0] ?? 2;
    const classes = shapes.get("blocks.0.class_embed")?.[0] ?? 0;
    const blocks = Array.from(
      { length: countOf(shapes, /^blocks\.(\d+)\./) },
      (_, block) => Math.max(1, countOf(shapes, new RegExp(`^blocks\\.${block}\\.attn_blocks\\.(\\d+)\\.`))),
    );
    const mask = () =>
      Float32Array.from({ length: tokens ** 2 }, (_, i) => i % tokens <= Math.floor(i / tokens) ? 1 : 0);
    const prior = [tokens, tokenWidth];
    return {
      model: `TarFlow of ${tokens} tokens of ${tokenWidth}, width ${width}, layers [${blocks}] and ${classes} classes`,
      // Heads and the shape of a patch are not in the weights: any that fit will do.
      specs: tarflow({ patch: 1, width, headWidth: width, blocks }, [tokenWidth, tokens, 1], classes).specs,
      placeOf: () => ({}),
      constants: [
        { name: "var", shape: prior, values: () => new Float32Array(sizeOf(prior)).fill(1) },
        ...blocks.map((_, i) => ({ name: `blocks.${i}.attn_mask`, shape: [tokens, tokens], values: mask })),
      ],
    };
  },
};
