import type { Dataset } from "../../lib/data/types.ts";

/** A dataset of given rows, for tests that need data with a known law. */
export function memoryDataset(
  data: Float32Array,
  labels: Int32Array,
  shape: readonly [number, number, number],
): Dataset {
  const dims = shape[0] * shape[1] * shape[2];
  return {
    name: "in memory",
    split: "test",
    size: labels.length,
    shape,
    classes: Math.max(...labels) + 1,
    digest: "in memory",
    labels,
    gather(indices) {
      const rows = new Float32Array(indices.length * dims);
      indices.forEach((row, i) => rows.set(data.subarray(row * dims, (row + 1) * dims), i * dims));
      return Promise.resolve({ data: rows, labels: indices.map((row) => labels[row]!) });
    },
  };
}
