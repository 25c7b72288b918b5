import type { SitOptions } from "../models/sit.ts";
import type { TarflowOptions } from "../models/tarflow.ts";

/** Sizes that everything is timed at. */
export interface BenchShape {
  readonly name: string;
  readonly says: string;
  /** `[channels, height, width]`. */
  readonly image: readonly [number, number, number];
  readonly classes: number;
  readonly student: SitOptions;
  readonly studentBatch: number;
  readonly teacher: TarflowOptions;
  readonly teacherBatch: number;
  /** Images that noise is assigned to. */
  readonly points: number;
  /** Images at once through the Inception network, which is then all that is timed. */
  readonly inceptionBatch?: number;
}

const common = { classes: 10, studentBatch: 64, teacherBatch: 64, points: 10_000 } as const;

const small = {
  ...common,
  image: [1, 16, 16],
  student: { patch: 4, width: 64, depth: 4, heads: 2 },
  teacher: { patch: 2, width: 64, headWidth: 32, blocks: [2, 2, 2, 2] },
} as const;

const shapes = {
  tiny: {
    ...common,
    says: "for a test of the benchmark itself",
    image: [1, 8, 8],
    student: { patch: 4, width: 8, depth: 1, heads: 2 },
    studentBatch: 4,
    teacher: { patch: 4, width: 8, headWidth: 4, blocks: [1, 1] },
    teacherBatch: 4,
    points: 40,
  },
  quick: { ...small, says: "table 4 at the quick scale", studentBatch: 32 },
  desk: { ...small, says: "table 4 at the desk scale" },
  wide: {
    ...common,
    says: "width 256, 49 tokens",
    image: [1, 28, 28],
    student: { patch: 4, width: 256, depth: 4, heads: 4 },
    teacher: { patch: 4, width: 256, headWidth: 64, blocks: [2, 2] },
  },
  large: {
    ...common,
    says: "width 384, 64 tokens",
    image: [1, 16, 16],
    student: { patch: 2, width: 384, depth: 6, heads: 6 },
    teacher: { patch: 2, width: 384, headWidth: 64, blocks: [2, 2] },
  },
  paper: {
    says: "table 4 at the paper scale, as much at once as its recipe has: for a GPU of 80 GB",
    image: [3, 64, 64],
    classes: 1000,
    student: { patch: 4, width: 1152, depth: 28, heads: 16 },
    studentBatch: 32,
    teacher: { patch: 2, width: 1024, headWidth: 64, blocks: [2, 2, 2, 2, 2, 2, 26, 26] },
    teacherBatch: 4,
    points: 1000,
  },
  inception: { ...small, says: "the features of FID alone, 16 images of 299 pixels", inceptionBatch: 16 },
} as const satisfies Record<string, Omit<BenchShape, "name">>;

/** The names that `--shapes` takes. */
export const shapeNames = Object.keys(shapes) as (keyof typeof shapes)[];

/** A shape by its name. */
export function shapeOf(name: keyof typeof shapes): BenchShape {
  return { name, ...shapes[name] };
}
