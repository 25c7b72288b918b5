import * as z from "zod";
import { hashOf } from "../core/hash.ts";
import { createRng } from "../core/rng.ts";
import type { Dataset } from "./types.ts";

/**
 * `count` images of `dataset`, for a fast look: the first of one fixed
 * permutation, so that a smaller subset is part of a larger one.
 *
 * @throws {RangeError} if the set has fewer than `count` images or `count` is not positive
 */
export function subset(dataset: Dataset, count: number): Dataset {
  if (!Number.isInteger(count) || count < 1 || count > dataset.size) {
    throw new RangeError(`Cannot take ${count} images of ${dataset.name}: expected 1 to ${dataset.size}`);
  }
  const rows = createRng(0).fork("subset").permutation(dataset.size).subarray(0, count);
  return {
    ...dataset,
    name: `${dataset.name}, ${count} images`,
    size: count,
    digest: hashOf({ of: dataset.digest, count }),
    labels: rows.map((row) => dataset.labels[row]!),
    gather(indices, flipped) {
      const outside = indices.find((index) => index < 0 || index >= count);
      if (outside !== undefined) {
        throw new RangeError(`Cannot gather image ${outside}: the set has images 0 to ${count - 1}`);
      }
      return dataset.gather(indices.map((index) => rows[index]!), flipped);
    },
  };
}

/** The option of a dataset that makes a training set smaller. */
export const trainingImages = z.int().positive().optional()
  .describe("Train on this many images, the first of one fixed order, instead of all");

/** A training set cut to `images`; a test set, or one that has no more, as it is. */
export function fewer(dataset: Dataset, images: number | undefined): Dataset {
  return images === undefined || dataset.split === "test" || images >= dataset.size ? dataset : subset(dataset, images);
}
