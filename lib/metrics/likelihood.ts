import { type EncodeInputs, encodeSplit, selectedRows } from "./encode.ts";
import { meanOf } from "./mean.ts";
import type { Measurement, MetricInfo } from "./types.ts";

/** Eq. 3 per dimension, without ½·log 2π: the unit of paper Tables 9 and 10. */
export const nllInfo: MetricInfo = { label: "NLL", unit: "nats/dim", better: "lower", digits: 4 };
/** Of held-out pixels with the training noise added, so not a code length for the images themselves. */
export const bitsPerDimInfo: MetricInfo = {
  label: "bits/dim, held-out set (noise-smoothed)",
  unit: "bits/dim",
  better: "lower",
  digits: 3,
};

/** A flow's likelihood of a split, in both units. */
export interface Likelihood {
  readonly nll: Measurement;
  /** `bitsPerDimOf` it: nothing where the data are not pixels. */
  readonly bitsPerDim: Measurement;
}

/**
 * Negative log-likelihood of x′ = x + ηε′ under the teacher (paper Eq. 3):
 * (½‖f(x′, c)‖² − log|det ∂f/∂x′|) / n, averaged in float64 over a split, with
 * the standard error over its rows.
 *
 * @throws Error when the figure is below what any model can reach: a defect
 */
export async function likelihood(inputs: EncodeInputs): Promise<Likelihood> {
  const dims = inputs.dataset.shape.reduce((product, n) => product * n, 1);
  const perSample = new Float64Array(selectedRows(inputs).length);
  let done = 0;
  for await (const { noise, logDeterminant } of encodeSplit(inputs)) {
    for (let row = 0; row < logDeterminant.length; row++) {
      let squares = 0;
      for (let i = row * dims; i < (row + 1) * dims; i++) squares += noise[i]! * noise[i]!;
      perSample[done++] = (squares / 2 - logDeterminant[row]!) / dims;
    }
  }
  const nll = meanOf(perSample);
  assertAboveFloor(nll, inputs.noiseStd, dims);
  const { standardError } = nll;
  const bitsPerDim = {
    value: bitsPerDimOf(nll.value),
    ...(standardError !== undefined && { standardError: standardError / Math.LN2 }),
    sampleCount: nll.sampleCount,
  };
  return { nll, bitsPerDim };
}

/**
 * The least NLL, in the unit of Eq. 3 per dimension: x′ has at least the
 * entropy of its noise, ½·log(2πeη²) a dimension, which less ½·log 2π is
 * 0.5 + ln η. It holds for any data, a training set learnt by heart included.
 */
export function nllFloor(noiseStd: number): number {
  return 0.5 + Math.log(noiseStd);
}

/**
 * Bits per dimension of 8-bit data scaled to [-1, 1] (127.5 levels a unit), not of latents:
 * (nll + ½·log 2π) / ln 2 + log₂ 127.5.
 */
export function bitsPerDimOf(nll: number): number {
  return (nll + Math.log(2 * Math.PI) / 2) / Math.LN2 + Math.log2(127.5);
}

/**
 * Throws when `nll` lies below the floor by more than 1e-4 and five standard
 * errors, of which the noise ε′ alone makes at least √(1 / 2nN).
 */
export function assertAboveFloor(nll: Measurement, noiseStd: number, dims: number): void {
  const floor = nllFloor(noiseStd);
  const spread = Math.max(nll.standardError ?? 0, Math.sqrt(1 / (2 * dims * nll.sampleCount)));
  if (nll.value >= floor - 1e-4 - 5 * spread) return;
  throw new Error(
    `The NLL ${nll.value} is below 0.5 + ln η = ${floor}, which no density reaches at η = ${noiseStd}: ` +
      `this is a bug, in the log-determinant or in the noise that was added`,
  );
}
