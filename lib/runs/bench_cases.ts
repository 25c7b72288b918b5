import { inceptionLayout } from "../metrics/inception_layout.ts";
import type { BenchShape } from "./bench_shapes.ts";
import {
  assigning,
  type BenchSubject,
  decoding,
  extracting,
  extractingInception,
  fitting,
  multiplying,
  sampling,
  type StudentKind,
  studentSteps,
  teacherSteps,
} from "./bench_subjects.ts";

/** Something to time, in every variant. */
export interface BenchCase {
  readonly name: string;
  /** Samples in a call; absent where a call is the unit. */
  readonly samples?: number;
  build(): Promise<BenchSubject>;
  /** The same for the PyTorch side; absent where it has no counterpart. */
  readonly pytorch?: Readonly<Record<string, unknown>>;
}

/** The cases of a shape, in the order of the table. */
export function benchCases(shape: BenchShape): BenchCase[] {
  const { image, classes, student, teacher, studentBatch, teacherBatch, points, inceptionBatch } = shape;
  if (inceptionBatch !== undefined) return [inceptionCase(inceptionBatch)];
  const common = { shape: image, classes, student, teacher };
  const train = (kind: StudentKind, name: string): BenchCase => ({
    name: `train ${name}`,
    samples: studentBatch,
    build: () => studentSteps(shape, kind),
    ...((kind === "fm" || kind === "nfm") && { pytorch: { ...common, kind, batch: studentBatch } }),
  });
  const sampleBatch = Math.min(64, 2 * teacherBatch);
  return [
    train("fm", "FM"),
    train("sdfm", "SD-FM"),
    train("nfm", "NFM"),
    train("uses", "NFM, 4 steps a pair"),
    train("pool", "NFM, pool"),
    {
      name: "train teacher",
      samples: teacherBatch,
      build: () => Promise.resolve(teacherSteps(shape)),
      pytorch: { ...common, kind: "teacher", batch: teacherBatch },
    },
    ...[31, 15, 7].map((nfe): BenchCase => ({
      name: `sample NFE ${nfe}`,
      samples: sampleBatch,
      build: () => Promise.resolve(sampling(shape, sampleBatch, nfe)),
      pytorch: { ...common, kind: "sample", batch: sampleBatch, nfe },
    })),
    {
      name: "decode teacher",
      samples: sampleBatch,
      build: () => Promise.resolve(decoding(shape, sampleBatch)),
      pytorch: { ...common, kind: "decode", batch: sampleBatch },
    },
    { name: `fit step, ${points} points`, samples: 512, build: () => fitting(shape) },
    { name: `assign, ${points} points`, samples: 512, build: () => assigning(shape) },
    { name: "features", samples: 256, build: () => Promise.resolve(extracting(shape)) },
  ];
}

/** The features of FID, on PyTorch's side with the normalisation by itself, as pytorch-fid runs it. */
function inceptionCase(batch: number): BenchCase {
  return {
    name: "Inception features",
    samples: batch,
    build: () => Promise.resolve(extractingInception(batch)),
    pytorch: { kind: "inception", batch, layout: inceptionLayout },
  };
}

/** The product of two square matrices: what the machine can do at most. */
export function productCase(size = 1024): BenchCase {
  return {
    name: `product ${size}`,
    build: () => Promise.resolve(multiplying(size)),
    pytorch: { kind: "matmul", size },
  };
}
