import { type Tensor, type Tensors, tf } from "../engine/mod.ts";

// A batch's own names may be any: a prefix keeps them apart from the state's.
const prefix = "batch_", end = ".0";

/** Batches as inputs of one function, `count` of them: where there are fewer, the last stands in for those that are not read. */
export function asInputs(batches: readonly Tensors[], count = batches.length): Tensors {
  const all = filled(batches, count).flatMap((batch, i) =>
    Object.entries(batch).map(([key, tensor]) => [`${prefix}${key}.${i}`, tensor])
  );
  return Object.fromEntries(all);
}

/** `each`, its last repeated up to `count`. */
export function filled<Each>(each: readonly Each[], count: number): Each[] {
  return Array.from({ length: count }, (_, i) => each[i] ?? each.at(-1)!);
}

/** What `asInputs` named, and what else is there. */
export function apart(inputs: Tensors): { readonly batches: Tensors; readonly rest: Tensors } {
  const entries = Object.entries(inputs), isOfBatch = ([key]: [string, Tensor]) => key.startsWith(prefix);
  return {
    batches: Object.fromEntries(entries.filter(isOfBatch)),
    rest: Object.fromEntries(entries.filter((entry) => !isOfBatch(entry))),
  };
}

/** The one batch that `asInputs` named, by its own names. */
export function batchOf(inputs: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(inputs).map(([key, tensor]) => [key.slice(prefix.length, -end.length), tensor]),
  );
}

/** `count` batches as inputs, as one whose tensors have a row for each: `[count, …]`. */
export function stacked(inputs: Tensors, count: number): Tensors {
  const stems = Object.keys(inputs).filter((name) => name.endsWith(end)).map((name) => name.slice(0, -end.length));
  const each = (stem: string) => Array.from({ length: count }, (_, i) => inputs[`${stem}.${i}`]!);
  return Object.fromEntries(stems.map((stem) => [stem + end, tf.stack(each(stem))]));
}

/** Row `index`, an int32 scalar, of each. */
export function rowsAt(all: Tensors, index: Tensor): Tensors {
  const place = index.reshape([1, 1]);
  const row = (rows: Tensor) => tf.gatherND(rows, place).reshape(rows.shape.slice(1));
  return Object.fromEntries(Object.entries(all).map(([key, rows]) => [key, row(rows)]));
}

export const batchSizeOf = (batch: Tensors): number => Object.values(batch)[0]?.shape[0] ?? 0;
