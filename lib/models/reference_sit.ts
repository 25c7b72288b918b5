import { Problem } from "../core/problem.ts";
import {
  countOf,
  type Reference,
  type ReferenceConstant,
  type ReferenceOptions,
  type ReferencePlace,
  type ReferenceShapes,
} from "./reference_layout.ts";
import { sit } from "./sit.ts";

/**
 * The weights of SiT (arXiv 2401.08740, github.com/willisma/SiT) as ours. There
 * t = 0 is noise and the velocity points to the data: ours is
 * v(x, t, c) = −v_ref(x, 1 − t, c). Both turns are linear in the weights. The
 * sign is the last layer's. The features of 1 − t are a reflection of those of
 * t, cos(f − tf) = cos f·cos tf + sin f·sin tf and sin(f − tf) = sin f·cos tf −
 * cos f·sin tf, which the first layer over them takes on. Both are their own
 * inverses, the reflection up to rounding.
 */
export const sitReference: Reference = {
  anchor: "x_embedder.proj.weight",
  published: "SiT's are published under https://github.com/willisma/SiT",
  layoutOf(shapes, options = {}) {
    const [width = 4, channels = 1, patch = 1] = shapes.get("x_embedder.proj.weight") ?? [];
    const depth = Math.max(1, countOf(shapes, /^blocks\.(\d+)\./));
    const classes = Math.max(1, (shapes.get("y_embedder.embedding_table.weight")?.[0] ?? 2) - 1);
    const pixels = channels * patch * patch;
    const learnSigma = options.learnSigma ?? shapes.get("final_layer.linear.weight")?.[0] === 2 * pixels;
    return {
      model: `SiT of patch ${patch}, width ${width}, depth ${depth}, ${channels} channels and ${classes} classes`,
      specs: sit({ patch, width, depth, heads: 1 }, [channels, patch, patch], classes).specs,
      placeOf: ({ name, shape }) => {
        if (name === "t_embedder.mlp.0.weight") return reflection(shape[1]!);
        if (name.startsWith("final_layer.linear.")) return lastLayer(shape, channels, learnSigma);
        return {};
      },
      constants: positions(shapes, options, patch, width),
    };
  },
};

/** The position embedding, which the reference keeps although it is fixed; images are square. */
function positions(
  shapes: ReferenceShapes,
  { size }: ReferenceOptions,
  patch: number,
  width: number,
): ReferenceConstant[] {
  const tokens = size === undefined ? shapes.get("pos_embed")?.[1] : (size / patch) ** 2;
  if (tokens === undefined) return [];
  const side = Math.sqrt(tokens);
  if (!Number.isSafeInteger(side)) {
    const wrong = size === undefined ? `${tokens} tokens are no square` : `patch ${patch} does not divide ${size}`;
    throw new Problem(`SiT's position embedding is of square images, but ${wrong}`);
  }
  return [{ name: "pos_embed", shape: [1, tokens, width], values: () => gridValues(side, width) }];
}

/**
 * The last layer with its sign turned. Its rows are (row, column, channel) of a
 * patch; with `learnSigma` there are twice the channels, the second half of
 * which the reference throws away: dropped here, and written as zeros.
 */
function lastLayer(shape: readonly number[], channels: number, learnSigma: boolean): ReferencePlace {
  const [rows, ...rest] = shape as [number, ...number[]];
  const width = rest[0] ?? 1, run = channels * width;
  const factor = learnSigma ? 2 : 1;
  const moved = (from: Float32Array, fromFactor: number, toFactor: number) => {
    const to = new Float32Array(rows * width * toFactor);
    for (let pixel = 0; pixel < rows / channels; pixel++) {
      for (let i = 0; i < run; i++) to[pixel * run * toFactor + i] = -from[pixel * run * fromFactor + i]!;
    }
    return to;
  };
  return {
    shape: [rows * factor, ...rest],
    read: (values) => moved(values, factor, 1),
    write: (values) => moved(values, 1, factor),
  };
}

/** Rows of weights over [cos tf, sin tf] as weights over [cos (1 − t)f, sin (1 − t)f], `features` in number. */
function reflection(features: number): ReferencePlace {
  const half = features / 2;
  // In float32, as the network has them.
  const frequencies = Float32Array.from({ length: half }, (_, i) => Math.exp(-Math.log(10_000) * i / half));
  const reflected = (values: Float32Array) => {
    const result = new Float32Array(values.length);
    for (let row = 0; row < values.length; row += features) {
      frequencies.forEach((f, i) => {
        const onCos = values[row + i]!, onSin = values[row + half + i]!;
        result[row + i] = onCos * Math.cos(f) + onSin * Math.sin(f);
        result[row + half + i] = onCos * Math.sin(f) - onSin * Math.cos(f);
      });
    }
    return result;
  };
  return { read: reflected, write: reflected };
}

/** The values of `gridFeatures`, `[side², width]`, without an engine. */
function gridValues(side: number, width: number): Float32Array {
  const quarter = width / 4;
  return Float32Array.from({ length: side * side * width }, (_, at) => {
    const token = Math.floor(at / width), part = Math.floor(at % width / quarter);
    const place = part < 2 ? token % side : Math.floor(token / side);
    const angle = place * 10_000 ** (-(at % quarter) / quarter);
    return part % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}
