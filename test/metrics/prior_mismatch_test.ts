import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../lib/core/problem.ts";
import { createRng } from "../../lib/core/rng.ts";
import { covarianceRoom, priorMismatch, priorMismatchInfo } from "../../lib/metrics/prior_mismatch.ts";
import { chiSpread, expectedGaussianKl, marchenkoPasturSpectrum } from "../../lib/metrics/standard_normal.ts";
import { digamma, logGamma } from "../../lib/metrics/special.ts";
import { statisticsOf } from "../../lib/metrics/statistics.ts";
import { symmetricEigenvalues } from "../../lib/metrics/symmetric.ts";

const dims = 24, count = 6000, classes = 5;
const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
const normal = createRng(11).normal(count * dims);
const value = (figures: ReturnType<typeof priorMismatch>, name: string) => figures[name]!.value;

Deno.test("priorMismatch() of N(0, I) is what its yardsticks say", () => {
  const figures = priorMismatch({ z: normal, labels, dims });
  assertEquals(Object.keys(figures), Object.keys(priorMismatchInfo));
  const near = (name: string, tolerance: number) =>
    assertAlmostEquals(value(figures, name), value(figures, `${name}Ideal`), tolerance, name);
  near("zMeanRms", 5e-3);
  near("zClassMeanRms", 5e-3);
  near("zNormSpread", 5 * figures.zNormSpread!.standardError!);
  near("zKurtosis", 5 * Math.sqrt(24 / count / dims));
  near("zKurtosisRms", 0.04);
  near("zKl", 4e-4);
  near("zClassKl", 1e-3);
  for (const part of ["Min", "Q05", "Median", "Q95", "Max"]) {
    near(`zEigen${part}`, 0.03);
    near(`zClassEigen${part}`, part === "Min" || part === "Max" ? 0.12 : 0.04);
  }
});

Deno.test("priorMismatch() finds a scale, a shift of classes and heavy tails, each where it belongs", () => {
  const std = (i: number) => i === 0 ? 2 : i === 1 ? 0.5 : 1;
  const scaled = priorMismatch({ z: normal.map((x, at) => x * std(at % dims)), labels, dims });
  assertAlmostEquals(value(scaled, "zEigenMax"), 4, 0.4);
  assertAlmostEquals(value(scaled, "zEigenMin"), 0.25, 0.03);
  const expected = (4 - 1 - Math.log(4) + 0.25 - 1 - Math.log(0.25)) / 2 / dims;
  assertAlmostEquals(value(scaled, "zKl") - value(scaled, "zKlIdeal"), expected, 0.005);

  const offset = (at: number) => labels[Math.floor(at / dims)]! === 0 ? 0.8 : -0.2; // mean 0 over five classes
  const shifted = priorMismatch({ z: normal.map((x, at) => x + offset(at)), labels, dims });
  assertAlmostEquals(value(shifted, "zMeanRms"), value(shifted, "zMeanRmsIdeal"), 5e-3);
  assertAlmostEquals(value(shifted, "zClassMeanRms"), (0.8 + 4 * 0.2) / 5, 0.01);
  assertAlmostEquals(value(shifted, "zClassEigenMax"), value(shifted, "zClassEigenMaxIdeal"), 0.12);
  assertAlmostEquals(value(shifted, "zClassKl"), (0.64 + 4 * 0.04) / 5 / 2 + value(shifted, "zClassKlIdeal"), 0.01);

  const laplace = normal.map((x, at) => x * Math.sqrt(-Math.log(createUniform()[at]!))); // √exponential × normal
  const heavy = priorMismatch({ z: laplace, labels, dims });
  assertAlmostEquals(value(heavy, "zKurtosis"), 3, 0.4);
});

let uniform: Float64Array | undefined;
const createUniform = () => uniform ??= createRng(12).uniform(count * dims);

Deno.test("priorMismatch() leaves covariances out where rows are too few for them", () => {
  const figures = priorMismatch({ z: normal.slice(0, 100 * dims), labels: labels.slice(0, 100), dims });
  assert("zKl" in figures && !("zClassKl" in figures) && !("zClassEigenMin" in figures));
  assert(Object.values(figures).every((m) => Number.isFinite(m.value)));
});

Deno.test("priorMismatch() makes no covariance that it leaves out, of the whole or of a class", () => {
  // A matrix of 10¹⁰ numbers, which no array holds.
  const dims = 100_000, z = createRng(13).normal(12 * dims);
  const figures = priorMismatch({ z, labels: Int32Array.from({ length: 12 }, (_, i) => i % 4), dims });
  assertAlmostEquals(value(figures, "zMeanRms"), Math.sqrt(1 / 12), 5e-3);
  assertAlmostEquals(value(figures, "zClassMeanRms"), Math.sqrt(1 / 3), 5e-3);
  assert(!("zKl" in figures) && !("zClassKl" in figures));
  assertEquals([covarianceRoom(12, dims), covarianceRoom(50_000, 12_288)], [0, 32 * 12_288 ** 2]);
});

Deno.test("priorMismatch() refuses a value that is not finite", () => {
  const broken = normal.slice(0, 100 * dims);
  broken[50 * dims + 3] = Infinity;
  assertThrows(() => priorMismatch({ z: broken, labels: labels.slice(0, 100), dims }), Problem, "not finite");
});

Deno.test("marchenkoPasturSpectrum() has the moments of the law and its support", () => {
  for (const [d, n] of [[400, 601], [200, 5001]] as const) {
    const ratio = d / (n - 1), spectrum = marchenkoPasturSpectrum(d, n);
    const moment = (k: number) => spectrum.reduce((sum, x) => sum + x ** k, 0) / d;
    assertAlmostEquals(moment(1), 1, 2e-3);
    assertAlmostEquals(moment(2), 1 + ratio, 4e-3);
    assertAlmostEquals(moment(3), 1 + 3 * ratio + ratio ** 2, 1e-2);
    assert(spectrum[0]! >= (1 - Math.sqrt(ratio)) ** 2 && spectrum[d - 1]! <= (1 + Math.sqrt(ratio)) ** 2);
  }
});

Deno.test("expectedGaussianKl() and chiSpread() are the means over many samples of N(0, I)", () => {
  const [d, n, repeats] = [5, 30, 400];
  let kl = 0;
  const norms: number[] = [];
  for (let r = 0; r < repeats; r++) {
    const rows = createRng(20).at(r).normal(n * d);
    const { mean, covariance } = statisticsOf(rows, d);
    kl += symmetricEigenvalues(covariance, d).reduce(
      (sum, x) => sum + x - 1 - Math.log(x),
      mean.reduce((sum, x) => sum + x * x, 0),
    ) / 2 / d / repeats;
    for (let i = 0; i < n; i++) norms.push(Math.hypot(...rows.subarray(i * d, (i + 1) * d)) / Math.sqrt(d));
  }
  assertAlmostEquals(kl, expectedGaussianKl(d, n), 0.05 * kl);
  const mean = norms.reduce((sum, x) => sum + x, 0) / norms.length;
  const spread = Math.sqrt(norms.reduce((sum, x) => sum + (x - mean) ** 2, 0) / norms.length);
  assertAlmostEquals(spread, chiSpread(d), 0.03 * spread);
  assertAlmostEquals(chiSpread(4096), Math.sqrt(0.5 / 4096), 1e-6);
});

Deno.test("digamma() and logGamma() have their known values", () => {
  assertAlmostEquals(digamma(1), -0.5772156649015329, 1e-12);
  assertAlmostEquals(digamma(0.5), -0.5772156649015329 - 2 * Math.LN2, 1e-12);
  assertAlmostEquals(logGamma(0.5), Math.log(Math.PI) / 2, 1e-12);
  assertAlmostEquals(logGamma(11), Math.log(3628800), 1e-12);
});
