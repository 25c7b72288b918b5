import type { Rng } from "../core/rng.ts";
import { Problem } from "../core/problem.ts";
import { addNoiseByRow } from "../data/add_noise.ts";
import type { Dataset } from "../data/types.ts";
import type { NormalizingFlow } from "../models/types.ts";
import { encodeRows } from "./encode.ts";
import { meanOf } from "./mean.ts";
import type { Measurement, MetricInfo } from "./types.ts";

const info = (label: string): MetricInfo => ({ label, unit: "", better: "neither", digits: 3 });

/** The columns of paper Tables 1 and 2, in their order. */
export const zDistanceInfo = {
  dx: info("d_x (x₁≠x₂, ε₁≠ε₂)"),
  dz: info("d_z (x₁≠x₂, ε₁≠ε₂)"),
  dxSameData: info("d_x (x₁=x₂, ε₁≠ε₂)"),
  dzSameData: info("d_z (x₁=x₂, ε₁≠ε₂)"),
  dxSameNoise: info("d_x (x₁≠x₂, ε₁=ε₂)"),
  dzSameNoise: info("d_z (x₁≠x₂, ε₁=ε₂)"),
} as const satisfies Record<string, MetricInfo>;

export type ZDistanceFigure = keyof typeof zDistanceInfo;

export interface ZDistanceInputs {
  readonly flow: NormalizingFlow;
  readonly dataset: Dataset;
  /** η of paper §2.2. */
  readonly noiseStd: number;
  /** σ_f, `[dims]`: distances in z-space are taken on f/σ_f. */
  readonly sigma: Float32Array;
  /** Disjoint pairs of images; at most half of the dataset. The paper does not say how many it uses. */
  readonly pairs: number;
  /** Pairs at a time: four rows each go through the flow. */
  readonly batchSize: number;
  readonly rng: Rng;
  readonly onProgress?: (done: number) => void;
}

/**
 * Mean distances d(a, b) = ‖a − b‖/√(2n) in data space and in z-space between
 * images and noises that differ or agree (paper §3.3). Each pair of images
 * meets the same two noises, in all four combinations, under its true labels;
 * the standard error is over pairs.
 *
 * @throws Error when the four codes break the Efron–Stein inequality: a defect
 */
export async function zDistances(inputs: ZDistanceInputs): Promise<Record<ZDistanceFigure, Measurement>> {
  const { dataset, pairs, batchSize, rng, onProgress } = inputs;
  if (!(pairs >= 1 && 2 * pairs <= dataset.size)) {
    throw new Problem(`Cannot take ${pairs} disjoint pairs of ${dataset.size} images: expected 1 to half of them`);
  }
  const order = rng.fork("pairs").permutation(dataset.size);
  const names = Object.keys(zDistanceInfo) as ZDistanceFigure[];
  const perPair = new Map(names.map((name) => [name, new Float64Array(pairs)]));
  for (let start = 0; start < pairs; start += batchSize) {
    const end = Math.min(start + batchSize, pairs);
    const squares = await pairSquares(inputs, order.slice(start, end), order.slice(pairs + start, pairs + end), start);
    for (let pair = start; pair < end; pair++) {
      const [x, z] = squares(pair - start);
      assertEfronStein(z);
      const d = (values: readonly number[]) => values.reduce((sum, square) => sum + Math.sqrt(square), 0) / 2;
      perPair.get("dx")![pair] = d(x.both);
      perPair.get("dz")![pair] = d(z.both);
      perPair.get("dxSameData")![pair] = d(x.sameData);
      perPair.get("dzSameData")![pair] = d(z.sameData);
      perPair.get("dxSameNoise")![pair] = d(x.sameNoise);
      perPair.get("dzSameNoise")![pair] = d(z.sameNoise);
    }
    onProgress?.(end);
  }
  return Object.fromEntries(names.map((name) => [name, meanOf(perPair.get(name)!)])) as Record<
    ZDistanceFigure,
    Measurement
  >;
}

/** Squared distances within one pair of images and one of noises; two of each kind. */
export interface Quadrilateral {
  readonly both: readonly [number, number];
  readonly sameData: readonly [number, number];
  readonly sameNoise: readonly [number, number];
}

/**
 * Var z ≤ ½E‖z(x, ε) − z(x′, ε)‖² + ½E‖z(x, ε) − z(x, ε′)‖² (Efron–Stein). On
 * four codes from two images and two noises it holds draw by draw: the squared
 * sides of a quadrilateral are at least its squared diagonals. Breaking it
 * means that noise or labels were not shared as they should.
 */
export function assertEfronStein({ both, sameData, sameNoise }: Quadrilateral): void {
  const diagonals = both[0] + both[1];
  const sides = sameData[0] + sameData[1] + sameNoise[0] + sameNoise[1];
  if (sides >= diagonals * (1 - 1e-5)) return;
  throw new Error(
    `Squared z-distances ${sides} (one source shared) below ${diagonals} (none shared) break the Efron–Stein ` +
      `inequality: this is a bug, rows of data, noise or labels are out of line`,
  );
}

/** Encodes the four combinations of a batch of pairs; gives the squared distances of each pair, in x and in z. */
async function pairSquares(
  { flow, dataset, noiseStd, sigma, rng }: ZDistanceInputs,
  first: Int32Array,
  second: Int32Array,
  start: number,
): Promise<(pair: number) => [Quadrilateral, Quadrilateral]> {
  const dims = sigma.length;
  const images = [await dataset.gather(first), await dataset.gather(second)];
  const corners: { x: Float32Array; z: Float32Array }[] = [];
  for (const { data, labels } of images) {
    for (const stream of ["first noise", "second noise"]) {
      const x = addNoiseByRow(data, noiseStd, Array.from(first, (_, i) => rng.fork(stream).at(start + i)));
      const { noise } = await encodeRows(flow, x, labels, dataset.shape);
      corners.push({ x, z: noise.map((value, i) => value / sigma[i % dims]!) });
    }
  }
  const quadrilateral = (pair: number, space: "x" | "z"): Quadrilateral => {
    const square = (a: number, b: number) => {
      let sum = 0;
      for (let i = pair * dims; i < (pair + 1) * dims; i++) {
        const difference = corners[a]![space][i]! - corners[b]![space][i]!;
        sum += difference * difference;
      }
      return sum / (2 * dims);
    };
    return {
      both: [square(0, 3), square(1, 2)],
      sameData: [square(0, 1), square(2, 3)],
      sameNoise: [square(0, 2), square(1, 3)],
    };
  };
  return (pair) => [quadrilateral(pair, "x"), quadrilateral(pair, "z")];
}
