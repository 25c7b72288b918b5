import { join } from "node:path";
import { hashOf } from "../core/hash.ts";
import { progress } from "../core/terminal.ts";
import { openRowFile, type RowFile } from "../data/row_file.ts";
import type { Dataset } from "../data/types.ts";
import { tf } from "../engine/mod.ts";
import { bindAutoencoder } from "../models/bind.ts";
import type { Autoencoder } from "../models/types.ts";
import { sizeOf } from "../nn/parameters.ts";
import type { AutoencoderRecipe, DataRecipe } from "../recipes/types.ts";
import { findAutoencoder } from "./autoencoder.ts";
import { codeVersion } from "./code_version.ts";
import { type Codec, decodeAll, encodeAll, posteriorRng } from "./latent_codec.ts";
import { autoencoderOf } from "./recipe_models.ts";
import { latentsCode } from "./stage_code.ts";
import { type Splits, wholeSet } from "./workbench.ts";

/**
 * The same splits seen through an autoencoder (paper §4): images encoded,
 * scaled, and turned back by `toImages`. Nothing is encoded, and no weights are
 * read, before the first batch is asked for; the digests are known at once.
 * Latents are encoded once and kept on disk, both orientations of an image.
 *
 * @param folder where they are kept
 * @throws {Problem} if the autoencoder is missing or is not the one that the recipe describes
 */
export async function openLatents(
  recipe: AutoencoderRecipe,
  pixels: Splits,
  data: DataRecipe,
  folder = ".nfm/latents",
): Promise<Splits> {
  const { train, test } = pixels.images;
  const stored = await findAutoencoder(recipe, wholeSet(data), train);
  let bound: Promise<Autoencoder> | undefined;
  const open = () => bound ??= stored.read().then((flat) => bindAutoencoder(stored.definition, tf.tensor1d(flat)));
  const code = await codeVersion(latentsCode(recipe));
  const codec: Encoding = { open, ...stored, shape: stored.definition.latentShape, code, folder };
  return {
    train: latentDataset(train, codec),
    test: latentDataset(test, codec),
    images: pixels.images,
    toImages: (drawn) => decodeAll(drawn, codec, train.shape),
  };
}

/** The latents of an autoencoder whose weights are not there: their sizes alone. */
export function outlineLatents(recipe: AutoencoderRecipe, pixels: Splits): Splits {
  const { latentShape } = autoencoderOf(recipe, pixels.train);
  const outline = (images: Dataset): Dataset => ({
    ...images,
    name: latentsName(images, latentShape),
    shape: latentShape,
    digest: "not encoded",
    gather: () => Promise.reject(new RangeError("latents without their autoencoder are an outline")),
  });
  return { ...pixels, train: outline(pixels.images.train), test: outline(pixels.images.test) };
}

const latentsName = ({ name }: Dataset, shape: readonly number[]) => `${name}, latents ${shape.join("x")}`;

/** How a set is encoded, and where its latents are kept. */
interface Encoding extends Codec {
  /** SHA-256. */
  readonly weights: string;
  /** Version of the code of the codec. */
  readonly code: string;
  readonly folder: string;
}

/**
 * A set of images as latents. Each image and orientation has one draw of its
 * posterior, the same in every epoch and run, where the references draw anew
 * in each; a mirrored image is encoded mirrored.
 */
function latentDataset(images: Dataset, codec: Encoding): Dataset {
  const { shape, weights, scale, code } = codec, dims = sizeOf(shape);
  const digest = hashOf({ images: images.digest, weights, scale, code });
  const kept = new Map<boolean, Promise<RowFile>>();
  const rowsOf = (mirrored: boolean) => {
    let file = kept.get(mirrored);
    if (!file) kept.set(mirrored, file = openOrientation(images, digest, mirrored, codec));
    return file;
  };
  return {
    name: latentsName(images, shape),
    split: images.split,
    size: images.size,
    classes: images.classes,
    labels: images.labels,
    shape,
    digest,
    async gather(indices, flipped) {
      const data = new Float32Array(indices.length * dims);
      for (const mirrored of [false, true]) {
        const places = [...indices.keys()].filter((i) => (flipped?.[i] === 1) === mirrored);
        if (places.length === 0) continue;
        const latents = (await rowsOf(mirrored)).gather(Int32Array.from(places, (i) => indices[i]!));
        places.forEach((place, i) => data.set(latents.subarray(i * dims, (i + 1) * dims), place * dims));
      }
      return { data, labels: indices.map((row) => images.labels[row]!) };
    },
  };
}

/** All latents of one orientation on disk, encoded if they are not there yet. */
async function openOrientation(images: Dataset, digest: string, mirrored: boolean, codec: Encoding): Promise<RowFile> {
  const { folder, shape } = codec, { name, split, size } = images;
  const orientation = mirrored ? "mirrored" : "as taken";
  const rng = posteriorRng(split, orientation);
  // Engines round differently.
  const id = hashOf({ digest, engine: tf.getBackend() }).slice(0, 16);
  const path = join(folder, `${name}-${split}-${orientation}-${id}.f32`.replace(/[^\p{L}\p{N}.+=-]+/gu, "-"));
  let bar: ReturnType<typeof progress> | undefined;
  const file = await openRowFile(path, {
    rows: size,
    width: sizeOf(shape),
    watch: (rows) => (bar ??= progress(`latents of ${name}, ${split}, ${orientation}`, size, "images")).update(rows),
  }, async (start, end) => {
    const rows = Int32Array.from({ length: end - start }, (_, i) => start + i);
    const { data } = await images.gather(rows, mirrored ? new Uint8Array(rows.length).fill(1) : undefined);
    return await encodeAll(data, rows, images.shape, codec, rng);
  });
  bar?.stop();
  return file;
}
