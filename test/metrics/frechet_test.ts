import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng, type Rng } from "../../lib/core/rng.ts";
import { frechetDistance, frechetMeasurement, frechetReference } from "../../lib/metrics/frechet.ts";
import { type Statistics, statisticsOf } from "../../lib/metrics/statistics.ts";
import { fill } from "../golden/fill.ts";
import golden from "../golden/frechet.json" with { type: "json" };

function relativelyEqual(actual: number, expected: number, tolerance: number) {
  assertAlmostEquals(actual, expected, tolerance * Math.abs(expected));
}

function gaussian(mean: number[], std: number[]): Statistics {
  const dims = mean.length;
  const covariance = new Float64Array(dims * dims);
  std.forEach((s, i) => covariance[i * dims + i] = s * s);
  return { count: 1000, dims, mean: Float64Array.from(mean), covariance };
}

/** `[count, dims]` correlated draws, mean `shift`. */
function correlated(rng: Rng, count: number, dims: number, shift: number): Float64Array {
  const draws = rng.normal(count * dims);
  return Float64Array.from(draws, (x, i) => x + 0.5 * draws[i - i % dims]! + shift);
}

Deno.test("frechetDistance() agrees with the reference implementation on full and deficient rank", () => {
  for (const { case: name, n, dims, frechet } of golden) {
    const four = (side: string) => {
      const sum = new Float64Array(n * dims);
      for (let j = 0; j < 4; j++) fill(`fid-${name}-${side}${j}`, [n, dims], 1, 0).forEach((x, i) => sum[i]! += x);
      return sum;
    };
    const a = statisticsOf(four("a"), dims), b = statisticsOf(four("b").map((x) => 1.2 * x + 0.1), dims);
    relativelyEqual(frechetDistance(a, b, { allowFewSamples: true }), frechet, 1e-6);
    relativelyEqual(frechetDistance(b, a, { allowFewSamples: true }), frechet, 1e-6);
  }
});

Deno.test("frechetDistance() has the closed forms of a mean shift and of diagonal covariances", () => {
  const std = [0.3, 1, 2, 5];
  relativelyEqual(frechetDistance(gaussian([0, 0, 0, 0], std), gaussian([1, -2, 0.5, 3], std)), 14.25, 1e-10);
  const other = [1, 0.1, 2.5, 4];
  const expected = 14.25 + std.reduce((sum, s, i) => sum + (s - other[i]!) ** 2, 0);
  relativelyEqual(frechetDistance(gaussian([0, 0, 0, 0], std), gaussian([1, -2, 0.5, 3], other)), expected, 1e-9);
});

Deno.test("frechetDistance() is a distance: zero to itself, symmetric, never negative, blind to the order of rows", () => {
  for (const [count, dims] of [[500, 12], [9, 30]] as const) {
    const rows = correlated(createRng(1), count, dims, 0);
    const a = statisticsOf(rows, dims);
    const b = statisticsOf(correlated(createRng(2), count, dims, 0.3), dims);
    const few = { allowFewSamples: true };
    const self = frechetDistance(a, a, few);
    assert(self >= 0 && self < 1e-6, `to itself: ${self}`);
    relativelyEqual(frechetDistance(a, b, few), frechetDistance(b, a, few), 1e-8);
    const shuffled = new Float64Array(rows.length);
    createRng(3).permutation(count).forEach((from, to) =>
      shuffled.set(rows.subarray(from * dims, (from + 1) * dims), to * dims)
    );
    relativelyEqual(frechetDistance(statisticsOf(shuffled, dims), b, few), frechetDistance(a, b, few), 1e-9);
  }
});

Deno.test("frechetMeasurement() has a standard error that matches the spread over fresh samples", () => {
  const dims = 6, count = 600, repeats = 60;
  const reference = frechetReference(statisticsOf(correlated(createRng(7), 5000, dims, 0), dims));
  const measured = Array.from(
    { length: repeats },
    (_, i) => frechetMeasurement(correlated(createRng(8).at(i), count, dims, 0.4), reference),
  );
  const mean = measured.reduce((sum, m) => sum + m.value, 0) / repeats;
  const spread = Math.sqrt(measured.reduce((sum, m) => sum + (m.value - mean) ** 2, 0) / (repeats - 1));
  const claimed = Math.sqrt(measured.reduce((sum, m) => sum + m.standardError! ** 2, 0) / repeats);
  assert(claimed / spread > 0.75 && claimed / spread < 1.35, `claimed ${claimed}, observed ${spread}`);
});

Deno.test("frechetReference() knows the slope of its distance, whichever way the moments move", () => {
  const dims = 7;
  const reference = frechetReference(statisticsOf(correlated(createRng(1), 200, dims, 0), dims));
  const at = statisticsOf(correlated(createRng(2), 150, dims, 0.4), dims);
  const slope = reference.slope(at), step = 1e-4;
  for (const seed of [3, 4, 5]) {
    const toward = statisticsOf(correlated(createRng(seed), 150, dims, seed - 4), dims);
    const along = (from: Float64Array, to: Float64Array, by: number) => from.map((x, i) => x + by * (to[i]! - x));
    const moved = (by: number): Statistics => ({
      ...at,
      mean: along(at.mean, toward.mean, by),
      covariance: along(at.covariance, toward.covariance, by),
    });
    const expected = (reference.distance(moved(step)) - reference.distance(moved(-step))) / (2 * step);
    const inner = (a: Float64Array, from: Float64Array, to: Float64Array) =>
      a.reduce((sum, x, i) => sum + x * (to[i]! - from[i]!), 0);
    const actual = inner(slope.mean, at.mean, toward.mean) + inner(slope.covariance, at.covariance, toward.covariance);
    relativelyEqual(actual, expected, 1e-6);
  }
});

Deno.test("frechetMeasurement() has nearly the same standard error from the slope as from every group's distance", () => {
  const dims = 24;
  const reference = frechetReference(statisticsOf(correlated(createRng(7), 5000, dims, 0), dims));
  const rows = correlated(createRng(8), 2000, dims, 0.1);
  const exact = frechetMeasurement(rows, reference), linear = frechetMeasurement(rows, reference, { linear: true });
  assertEquals(linear.value, exact.value);
  relativelyEqual(linear.standardError!, exact.standardError!, 0.05);
});

Deno.test("frechetMeasurement() has the value of frechetDistance() and is the same at every call", () => {
  const rows = correlated(createRng(5), 101, 4, 1);
  const other = statisticsOf(correlated(createRng(6), 300, 4, 0), 4);
  const measurement = frechetMeasurement(rows, frechetReference(other));
  relativelyEqual(measurement.value, frechetDistance(other, statisticsOf(rows, 4)), 1e-12);
  assertEquals(measurement.sampleCount, 101);
  assertEquals(frechetMeasurement(rows, frechetReference(other)), measurement);
});

Deno.test("frechetDistance() refuses fewer than two samples a dimension unless told otherwise", () => {
  const few = statisticsOf(correlated(createRng(1), 19, 10, 0), 10);
  const enough = statisticsOf(correlated(createRng(1), 20, 10, 0), 10);
  assertThrows(() => frechetDistance(few, enough), Problem, "19 samples on 10 features");
  assertThrows(() => frechetDistance(enough, few), Problem, "at least 20");
  assert(Number.isFinite(frechetDistance(few, enough, { allowFewSamples: true })));
});

/** Σᵢ spectrumᵢ qᵢ qᵢᵀ, the q orthonormal: the columns of a reflection I − 2 u uᵀ. */
function withSpectrum(spectrum: readonly number[], u: Float64Array, mean: Float64Array): Statistics {
  const dims = spectrum.length, covariance = new Float64Array(dims * dims);
  const q = (i: number, k: number) => (i === k ? 1 : 0) - 2 * u[i]! * u[k]!;
  for (let i = 0; i < dims; i++) {
    for (let j = 0; j < dims; j++) {
      covariance[i * dims + j] = spectrum.reduce((sum, value, k) => sum + value * q(i, k) * q(j, k), 0);
    }
  }
  return { count: 1000, dims, mean, covariance };
}

const unit = (values: Float32Array): Float64Array => {
  const norm = Math.hypot(...values);
  return Float64Array.from(values, (x) => x / norm);
};
const squared = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x * x, 0);

Deno.test("frechetDistance() of Gaussians on two lines is |u|² + |v|² − 2 |u·v|, whatever the number of dimensions", () => {
  for (const dims of [1, 2, 3, 17, 64]) {
    const rng = createRng(dims), [u, v, mean] = ["u", "v", "mean"].map((name) => rng.fork(name).normal(dims));
    const line = (x: Float32Array, mean: Float64Array): Statistics => {
      const covariance = Float64Array.from({ length: dims * dims }, (_, i) => x[Math.floor(i / dims)]! * x[i % dims]!);
      return { count: 1000, dims, mean, covariance };
    };
    const overlap = Math.abs(u!.reduce((sum, x, i) => sum + x * v![i]!, 0));
    const expected = squared(mean!) + squared(u!) + squared(v!) - 2 * overlap;
    const [a, b] = [line(u!, new Float64Array(dims)), line(v!, Float64Array.from(mean!))];
    for (const [one, other] of [[a, b], [b, a]] as const) relativelyEqual(frechetDistance(one, other), expected, 1e-6);
  }
});

Deno.test("frechetDistance() of covariances that commute is Σ (√a − √b)², of any condition and rank", () => {
  const spectra: Readonly<Record<string, (i: number, dims: number) => readonly [number, number]>> = {
    "condition 10¹²": (i, dims) => [10 ** (12 * i / dims - 6), 10 ** (6 - 12 * i / dims)],
    "both of half rank, apart": (i, dims) => i < dims / 2 ? [1 + i, 0] : [0, 2 + i],
    "both of half rank, overlapping": (i, dims) => [i < dims / 2 ? 1 + i : 0, i > dims / 4 && i < dims * 3 / 4 ? 3 : 0],
    "one a point": (i) => [0, 1 + i],
    "tiny": (i) => [1e-30 * (1 + i), 2e-30 * (1 + i)],
  };
  for (const [name, spectrum] of Object.entries(spectra)) {
    for (const dims of [2, 9, 40]) {
      const pairs = Array.from({ length: dims }, (_, i) => spectrum(i, dims));
      const u = unit(createRng(dims).normal(dims)), mean = new Float64Array(dims);
      const a = withSpectrum(pairs.map(([a]) => a), u, mean), b = withSpectrum(pairs.map(([, b]) => b), u, mean);
      const expected = pairs.reduce((sum, [a, b]) => sum + (Math.sqrt(a) - Math.sqrt(b)) ** 2, 0);
      for (const [one, other] of [[a, b], [b, a]] as const) {
        const found = frechetDistance(one, other);
        assert(Math.abs(found - expected) <= 1e-6 * expected, `${name}, ${dims}: ${found} instead of ${expected}`);
      }
    }
  }
});
