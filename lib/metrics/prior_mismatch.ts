import { meanOf } from "./mean.ts";
import { chiSpread, expectedGaussianKl, marchenkoPasturSpectrum } from "./standard_normal.ts";
import { accumulateStatistics, mergeStatistics, type Statistics } from "./statistics.ts";
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
 * are left out where rows are fewer than 2·dims.
 *
 * @returns measurements under the names of `priorMismatchInfo`, in its order
 */
export function priorMismatch(codes: Codes): Readonly<Record<string, Measurement>> {
  const classes = statisticsByClass(codes);
  const overall = classes.reduce(mergeStatistics);
  const figures: Record<string, Measurement | undefined> = {
    ...meanFigures("zMeanRms", [overall]),
    ...meanFigures("zClassMeanRms", classes),
    ...normFigures(codes),
    ...kurtosisFigures(codes, overall),
    ...covarianceFigures("zKl", "zEigen", [overall]),
    ...covarianceFigures("zClassKl", "zClassEigen", classes),
  };
  return Object.fromEntries(
    Object.keys(priorMismatchInfo).flatMap((name) => figures[name] ? [[name, figures[name]!]] : []),
  );
}

function statisticsByClass({ z, labels, dims }: Codes): Statistics[] {
  if (labels.length * dims !== z.length) {
    throw new RangeError(`Cannot match ${labels.length} labels with ${z.length / dims} codes`);
  }
  const rowsOf = new Map<number, number[]>();
  labels.forEach((label, row) => {
    const rows = rowsOf.get(label);
    if (rows) rows.push(row);
    else rowsOf.set(label, [row]);
  });
  return [...rowsOf.keys()].sort((a, b) => a - b).map((label) => {
    const rows = rowsOf.get(label)!;
    const gathered = new Float32Array(rows.length * dims);
    rows.forEach((row, i) => gathered.set(z.subarray(row * dims, (row + 1) * dims), i * dims));
    const accumulator = accumulateStatistics(dims);
    accumulator.add(gathered);
    return accumulator.finish();
  });
}

const average = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const rms = (values: ArrayLike<number>) =>
  Math.sqrt(Array.prototype.reduce.call(values, (sum, x) => (sum as number) + x * x, 0) as number / values.length);
const countOf = (groups: readonly Statistics[]) => groups.reduce((sum, group) => sum + group.count, 0);

function meanFigures(name: string, groups: readonly Statistics[]): Record<string, Measurement> {
  const sampleCount = countOf(groups);
  return {
    [name]: { value: average(groups.map(({ mean }) => rms(mean))), sampleCount },
    [`${name}Ideal`]: { value: average(groups.map(({ count }) => 1 / Math.sqrt(count))), sampleCount },
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

function kurtosisFigures({ z, dims }: Codes, { mean, covariance, count }: Statistics): Record<string, Measurement> {
  const fourth = new Float64Array(dims);
  for (let at = 0; at < z.length; at++) fourth[at % dims]! += (z[at]! - mean[at % dims]!) ** 4 / count;
  const biased = (count - 1) / count;
  const excess = fourth.map((moment, i) => moment / (covariance[i * dims + i]! * biased) ** 2 - 3);
  const at = (value: number): Measurement => ({ value, sampleCount: count });
  return {
    zKurtosis: at(meanOf(excess).value),
    zKurtosisIdeal: at(-6 / (count + 1)),
    zKurtosisRms: at(rms(excess)),
    zKurtosisRmsIdeal: at(Math.sqrt(24 / count)),
  };
}

function covarianceFigures(kl: string, eigen: string, groups: readonly Statistics[]): Record<string, Measurement> {
  if (groups.some(({ count, dims }) => count < 2 * dims)) return {};
  const sampleCount = countOf(groups);
  const spectra = groups.map(({ covariance, dims }) => symmetricEigenvalues(covariance, dims));
  const pooled = quantiles(spectra);
  const idealPooled = quantiles(groups.map(({ dims, count }) => marchenkoPasturSpectrum(dims, count)));
  const divergences = groups.map(({ mean, dims }, i) => gaussianKl(mean, spectra[i]!, dims));
  const expected = groups.map(({ dims, count }) => expectedGaussianKl(dims, count));
  return {
    [kl]: { value: average(divergences), sampleCount },
    [`${kl}Ideal`]: { value: average(expected), sampleCount },
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
