/** Images and labels, aligned row by row. */
export interface Batch {
  /** `[batch, channels, height, width]`, row-major, in [-1, 1]. */
  readonly data: Float32Array;
  /** `[batch]`, in 0..classes-1. */
  readonly labels: Int32Array;
}

/** A labelled image set of one split. */
export interface Dataset {
  /** Recipe name and preparation, for example `mnist 16x16`. */
  readonly name: string;
  readonly split: "train" | "test";
  readonly size: number;
  /** `[channels, height, width]`. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** SHA-256 over the prepared pixels and labels: part of every stage's cache key. */
  readonly digest: string;
  /** All labels, `[size]`. */
  readonly labels: Int32Array;
  /** The images at `indices`, in that order. `flipped[i] = 1` mirrors row i left to right. */
  gather(indices: Int32Array, flipped?: Uint8Array): Promise<Batch>;
}
