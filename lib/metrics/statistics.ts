import { Problem } from "../core/problem.ts";
import { rowProducts } from "./row_products.ts";

/** First two moments of a sample, in float64. */
export interface Statistics {
  readonly count: number;
  readonly dims: number;
  /** `[dims]`. */
  readonly mean: Float64Array;
  /** `[dims, dims]` row-major, unbiased (divided by count − 1); zeros below two rows. */
  readonly covariance: Float64Array;
}

/** Takes rows piece by piece. */
export interface StatisticsAccumulator {
  /** Adds `[rows, dims]`, row-major. Throws a Problem, at once or later, on a value that is not finite. */
  add(rows: Float32Array | Float64Array): void;
  /** The statistics of all rows so far. */
  finish(): Statistics;
}

/**
 * Mean and covariance in one pass: blocks of rows are centred on themselves, then
 * merged (Chan et al. 1983). How the rows are cut into pieces changes no digit.
 */
export function accumulateStatistics(dims: number): StatisticsAccumulator {
  const block = new Float64Array(blockRows * dims);
  let total = emptyStatistics(dims), filled = 0;
  const merged = () => {
    const added = statisticsOfBlock(block.subarray(0, filled), dims);
    // The union's covariance takes the place of the block's: of many dimensions, one more would not fit.
    return total.count === 0 ? added : combine(total, added, 1, added.covariance);
  };
  return {
    add(rows) {
      if (rows.length % dims !== 0) throw new RangeError(`Cannot read ${rows.length} values as rows of ${dims}`);
      for (let at = 0; at < rows.length;) {
        const taken = rows.subarray(at, at + block.length - filled);
        block.set(taken, filled);
        at += taken.length;
        if ((filled += taken.length) < block.length) continue;
        total = merged();
        filled = 0;
      }
    },
    finish: () => filled === 0 ? total : merged(),
  };
}

/** Statistics of `[rows, dims]`, row-major. */
export function statisticsOf(rows: Float32Array | Float64Array, dims: number): Statistics {
  const accumulator = accumulateStatistics(dims);
  accumulator.add(rows);
  return accumulator.finish();
}

/** Statistics of the union of two disjoint samples. */
export function mergeStatistics(a: Statistics, b: Statistics): Statistics {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  return combine(a, b, 1);
}

/** Statistics of a sample without one of its parts: the inverse of `mergeStatistics`. */
export function withoutPart(total: Statistics, part: Statistics): Statistics {
  return combine(total, part, -1);
}

/** Rows that are centred on themselves before they are merged. Their products stay in cache while they are summed. */
export const blockRows = 512;

function emptyStatistics(dims: number): Statistics {
  return { count: 0, dims, mean: new Float64Array(dims), covariance: new Float64Array(dims * dims) };
}

/** Adds (`sign` 1) or takes away (−1) the part `b`; `covariance` is written, and may be that of `b`. */
function combine(
  a: Statistics,
  b: Statistics,
  sign: 1 | -1,
  covariance: Float64Array = new Float64Array(a.covariance.length),
): Statistics {
  const { dims } = a;
  const count = a.count + sign * b.count;
  const delta = b.mean.map((value, i) => value - a.mean[i]!);
  const mean = a.mean.map((value, i) => value + sign * delta[i]! * (b.count / count));
  const [weightA, weightB] = [Math.max(a.count - 1, 0), sign * Math.max(b.count - 1, 0)];
  const between = sign * a.count * b.count / count, divisor = Math.max(count - 1, 1);
  for (let i = 0, at = 0; i < dims; i++) {
    const scaled = between * delta[i]!;
    for (let j = 0; j < dims; j++, at++) {
      covariance[at] = (weightA * a.covariance[at]! + weightB * b.covariance[at]! + scaled * delta[j]!) / divisor;
    }
  }
  return { count, dims, mean, covariance };
}

function statisticsOfBlock(rows: Float64Array, dims: number): Statistics {
  const count = rows.length / dims;
  const mean = new Float64Array(dims);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < dims; i++, at++) {
      const value = rows[at]!;
      if (!Number.isFinite(value)) {
        throw new Problem(
          `Row ${row} of a block holds ${value}: a mean and covariance need finite values, ` +
            `look for a model that diverged`,
          { exitCode: 70 },
        );
      }
      mean[i]! += value / count;
    }
  }
  const centred = columns(rows, mean);
  const covariance = rowProducts(centred, centred, dims, { symmetric: true });
  const divisor = Math.max(count - 1, 1);
  for (let at = 0; at < covariance.length; at++) covariance[at]! /= divisor;
  return { count, dims, mean, covariance };
}

/** `[dims, rows]`: each feature of all rows, less its mean. */
function columns(rows: Float64Array, mean: Float64Array): Float64Array {
  const dims = mean.length, count = rows.length / dims;
  const out = new Float64Array(rows.length);
  for (let row = 0, at = 0; row < count; row++) {
    for (let i = 0; i < dims; i++, at++) out[i * count + row] = rows[at]! - mean[i]!;
  }
  return out;
}
