import type { ParameterSpec } from "../nn/parameters.ts";

/** The shapes of a file's tensors by name, from which the sizes of its model are read. */
export type ReferenceShapes = ReadonlyMap<string, readonly number[]>;

/** Where and how one parameter of ours stands in a reference's file. As it is, where nothing else is said. */
export interface ReferencePlace {
  readonly name?: string;
  readonly shape?: readonly number[];
  /** The reference's values as ours. */
  readonly read?: (values: Float32Array) => Float32Array;
  /** The inverse of `read`. */
  readonly write?: (values: Float32Array) => Float32Array;
}

/** What a reference keeps beside its parameters although it never changes: a mask, a fixed embedding. */
export interface ReferenceConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: () => Float32Array;
}

/** A model of given sizes in the names and layouts of its reference. */
export interface ReferenceLayout {
  /** For the person: "SiT of depth 28 …". */
  readonly model: string;
  readonly specs: readonly ParameterSpec[];
  readonly placeOf: (spec: ParameterSpec) => ReferencePlace;
  readonly constants: readonly ReferenceConstant[];
  /** Tensors that belong to the training of the reference and not to the model. */
  readonly ignores?: (name: string) => boolean;
}

/** A model whose weights a reference published. */
export interface Reference {
  /** A tensor that every such model has: it tells where in a checkpoint the model lies. */
  readonly anchor: string;
  /** For the person whose file is not one: the clause that says where the right one is. */
  readonly published: string;
  /**
   * The layout of a file, by its tensors' shapes. What the file lacks is left to
   * `fromReference` to report.
   */
  readonly layoutOf: (shapes: ReferenceShapes, options?: ReferenceOptions) => ReferenceLayout;
}

/** What our weights do not say and a reference's file does. */
export interface ReferenceOptions {
  /** Side of the images or latents: SiT's file has its position embedding. */
  readonly size?: number;
  /** Whether SiT's file has the variance output, which nothing uses. */
  readonly learnSigma?: boolean;
}

/** How many different numbers stand in the names at the place that `pattern` captures, for example of blocks. */
export function countOf(shapes: ReferenceShapes, pattern: RegExp): number {
  return new Set([...shapes.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;
}
