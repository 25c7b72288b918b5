import { Problem } from "../core/problem.ts";
import { meanOf } from "./mean.ts";
import { chiSpread, expectedGaussianKl, marchenkoPasturSpectrum } from "./standard_normal.ts";
import { accumulateStatistics } from "./statistics.ts";
import { symmetricEigenvalues } from "./symmetric.ts";
import type { Measurement, MetricInfo } from "./types.ts";

/** The teacher's codes of a split, already divided by σ_f. */
export interface Codes {
  /** `[rows, dims]`, row-major. */
  readonly z: Float32Array;
  /** `[rows]`. */
  readonly labels: Int32Array;
  readonly dims: number;
}

const info = (label: string, digits = 3): MetricInfo => ({ label, unit: "", better: "lower", digits });
const klInfo = (label: string): MetricInfo => ({ label, unit: "nats/dim", better: "lower", digits: 4 });
/** A yardstick: what N(0, I) gives at the same count. */
const ideal = (of: MetricInfo): MetricInfo => ({ ...of, label: `${of.label}, if N(0, I)`, better: "neither" });
const spectrumParts = ["Min", "Q05", "Median", "Q95", "Max"] as const;

/** Each figure, and after it under the name + `Ideal` what N(0, I) would give at that count, in print order. */
export const priorMismatchInfo: Readonly<Record<string, MetricInfo>> = withIdeals({
  zMeanRms: info("z mean, rms"),
  zClassMeanRms: info("z mean within a class, rms"),
  zNormSpread: info("std of ‖z‖/√n", 4),
  zKurtosis: { ...info("z excess kurtosis, mean over dimensions"), better: "neither" },
  zKurtosisRms: info("z excess kurtosis, rms over dimensions"),
  zKl: klInfo("KL of the Gaussian fit of z to N(0, I)"),
  zClassKl: klInfo("KL of the Gaussian fit of z within a class"),
  ...spectrumInfo("zEigen", "z covariance eigenvalue"),
  ...spectrumInfo("zClassEigen", "z covariance eigenvalue within a class"),
});

function spectrumInfo(name: string, label: string): Record<string, MetricInfo> {
  return Object.fromEntries(
    spectrumParts.map((part) => [name + part, { ...info(`${label}, ${part.toLowerCase()}`), better: "neither" }]),
  );
}

function withIdeals(figures: Record<string, MetricInfo>): Record<string, MetricInfo> {
  return Object.fromEntries(
    Object.entries(figures).flatMap(([name, figure]) => [[name, figure], [`${name}Ideal`, ideal(figure)]]),
  );
}

/**
 * How far the teacher's z = f(x + ηε′, c)/σ_f is from the N(0, I) that the
 * student is started from (paper §3.2 takes it to be near). A student cannot
 * mend this gap: it is the floor of the coupling. Give z of held-out images.
 *
 * Every figure has its yardstick, the value at which sampling noise alone puts
 * N(0, I) with this many rows. Figures within a class are means over the
 * classes; spectra within a class are pooled. Figures that need a covariance
 * are left out where rows are fewer than 2·dims, of all or of any class, and no
 * covariance is made for them: `covarianceRoom` says what those that are take.
 *
 * @returns measurements under the names of `priorMismatchInfo`, in its order
 * @throws Problem (exit code 70) when a value of z is not finite
 */
export function priorMismatch(codes: Codes): Readonly<Record<string, Measurement>> {
  const everyRow = codes.labels.map((_, row) => row), classes = rowsByClass(codes);
  const mean = meanOfRows(codes, everyRow);
  if (!mean.every(Number.isFinite)) {
    throw new Problem(
      "The teacher's z of the images has a value that is not finite: look for a teacher that diverged",
      { exitCode: 70 },
    );
  }
  const figures: Record<string, Measurement | undefined> = {
    ...meanFigures("zMeanRms", [everyRow], [rms(mean)]),
    ...meanFigures("zClassMeanRms", classes, classes.map((rows) => rms(meanOfRows(codes, rows)))),
    ...normFigures(codes),
    ...kurtosisFigures(codes, mean),
    ...covarianceFigures("zKl", "zEigen", codes, [everyRow]),
    ...covarianceFigures("zClassKl", "zClassEigen", codes, classes),
  };
  return Object.fromEntries(
    Object.keys(priorMismatchInfo).flatMap((name) => figures[name] ? [[name, figures[name]!]] : []),
  );
}

/** Whether `rows` are enough for a covariance of so many dimensions to mean something. */
const areEnough = (rows: number, dims: number) => rows >= 2 * dims;

/**
 * Bytes of main memory that `priorMismatch` takes for a covariance of `rows` codes, 0 where it makes none: four such
 * matrices in float64, that of the rows so far, that of the next block, the engine's copy, and one not collected yet.
 */
export function covarianceRoom(rows: number, dims: number): number {
  return areEnough(rows, dims) ? 4 * 8 * dims ** 2 : 0;
}

/** The rows of each class that has any, by class. */
function rowsByClass({ z, labels, dims }: Codes): Int32Array[] {
  if (labels.length * dims !== z.length) {
    throw new RangeError(`Cannot match ${labels.length} labels with ${z.length / dims} codes`);
  }
  const rowsOf = new Map<number, number[]>();
  labels.forEach((label, row) => {
    const rows = rowsOf.get(label);
    if (rows) rows.push(row);
    else rowsOf.set(label, [row]);
  });
  return [...rowsOf.keys()].sort((a, b) => a - b).map((label) => Int32Array.from(rowsOf.get(label)!));
}

/** `[dims]`. */
function meanOfRows({ z, dims }: Codes, rows: Int32Array): Float64Array {
  const sum = new Float64Array(dims);
  for (const row of rows) for (let i = 0, at = row * dims; i < dims; i++, at++) sum[i]! += z[at]!;
  return sum.map((value) => value / rows.length);
}

const average = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const rms = (values: ArrayLike<number>) =>
  Math.sqrt(Array.prototype.reduce.call(values, (sum, x) => (sum as number) + x * x, 0) as number / values.length);
const countOf = (groups: readonly Int32Array[]) => groups.reduce((sum, { length }) => sum + length, 0);

/** @param sizes the rms of each group's mean */
function meanFigures(
  name: string,
  groups: readonly Int32Array[],
  sizes: readonly number[],
): Record<string, Measurement> {
  const sampleCount = countOf(groups);
  return {
    [name]: { value: average(sizes), sampleCount },
    [`${name}Ideal`]: { value: average(groups.map(({ length }) => 1 / Math.sqrt(length))), sampleCount },
  };
}

/** The spread of ‖z‖/√dims; its standard error by the delta method from the fourth moment. */
function normFigures({ z, dims }: Codes): Record<string, Measurement> {
  const count = z.length / dims;
  const norms = Float64Array.from({ length: count }, (_, row) => rms(z.subarray(row * dims, (row + 1) * dims)));
  const { value: mean } = meanOf(norms);
  const variance = norms.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1);
  const fourth = norms.reduce((sum, x) => sum + (x - mean) ** 4, 0) / count;
  const standardError = Math.sqrt(Math.max(0, fourth - variance ** 2) / (4 * variance * count));
  return {
    zNormSpread: { value: Math.sqrt(variance), standardError, sampleCount: count },
    zNormSpreadIdeal: { value: chiSpread(dims), sampleCount: count },
  };
}

function kurtosisFigures({ z, dims }: Codes, mean: Float64Array): Record<string, Measurement> {
  const count = z.length / dims, second = new Float64Array(dims), fourth = new Float64Array(dims);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < dims; i++, at++) {
      const square = (z[at]! - mean[i]!) ** 2;
      second[i]! += square / count;
      fourth[i]! += square ** 2 / count;
    }
  }
  const excess = fourth.map((moment, i) => moment / second[i]! ** 2 - 3);
  const at = (value: number): Measurement => ({ value, sampleCount: count });
  return {
    zKurtosis: at(meanOf(excess).value),
    zKurtosisIdeal: at(-6 / (count + 1)),
    zKurtosisRms: at(rms(excess)),
    zKurtosisRmsIdeal: at(Math.sqrt(24 / count)),
  };
}

/** One covariance after the other: those of all classes would not fit. */
function covarianceFigures(
  kl: string,
  eigen: string,
  codes: Codes,
  groups: readonly Int32Array[],
): Record<string, Measurement> {
  const { z, dims } = codes, sampleCount = countOf(groups);
  if (groups.some(({ length }) => !areEnough(length, dims))) return {};
  const fits = groups.map((rows) => {
    const accumulator = accumulateStatistics(dims);
    for (const row of rows) accumulator.add(z.subarray(row * dims, (row + 1) * dims));
    const { mean, covariance } = accumulator.finish();
    const spectrum = symmetricEigenvalues(covariance, dims);
    return { spectrum, divergence: gaussianKl(mean, spectrum, dims) };
  });
  const pooled = quantiles(fits.map(({ spectrum }) => spectrum));
  const idealPooled = quantiles(groups.map(({ length }) => marchenkoPasturSpectrum(dims, length)));
  return {
    [kl]: { value: average(fits.map(({ divergence }) => divergence)), sampleCount },
    [`${kl}Ideal`]: { value: average(groups.map(({ length }) => expectedGaussianKl(dims, length))), sampleCount },
    ...Object.fromEntries(spectrumParts.flatMap((part, i) => [
      [eigen + part, { value: pooled[i]!, sampleCount }],
      [`${eigen + part}Ideal`, { value: idealPooled[i]!, sampleCount }],
    ])),
  };
}

/** KL(N(m, S) ‖ N(0, I)) from the eigenvalues of S, nats per dimension. */
function gaussianKl(mean: Float64Array, eigenvalues: Float64Array, dims: number): number {
  const squares = mean.reduce((sum, x) => sum + x * x, 0);
  return eigenvalues.reduce((sum, value) => sum + value - 1 - Math.log(value), squares) / 2 / dims;
}

/** The parts of `spectrumParts`, over the pooled eigenvalues. */
function quantiles(spectra: readonly Float64Array[]): number[] {
  const pooled = Float64Array.from(spectra.flatMap((spectrum) => [...spectrum])).sort();
  return [0, 0.05, 0.5, 0.95, 1].map((q) => {
    const at = q * (pooled.length - 1), below = Math.floor(at);
    const above = Math.min(below + 1, pooled.length - 1);
    return pooled[below]! + (at - below) * (pooled[above]! - pooled[below]!);
  });
}
