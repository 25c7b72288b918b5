import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { createRng } from "../../lib/core/rng.ts";
import { multiply, symmetricEigenvalues, symmetricSquareRoot } from "../../lib/metrics/symmetric.ts";

/** A Gram matrix of `rows` random vectors: rank min(rows, d). */
function gram(d: number, rows: number, seed: number): Float64Array {
  const x = createRng(seed).normal(rows * d);
  const out = new Float64Array(d * d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) for (let r = 0; r < rows; r++) out[i * d + j]! += x[r * d + i]! * x[r * d + j]!;
  }
  return out;
}

Deno.test("symmetricEigenvalues() agrees with ml-matrix on full and deficient rank", () => {
  for (const [d, rows] of [[1, 3], [2, 5], [7, 30], [40, 12], [65, 200]] as const) {
    const matrix = gram(d, rows, d);
    const ours = symmetricEigenvalues(matrix, d);
    const nested = Array.from({ length: d }, (_, i) => [...matrix.subarray(i * d, (i + 1) * d)]);
    const theirs = new EigenvalueDecomposition(new Matrix(nested), { assumeSymmetric: true }).realEigenvalues
      .sort((a, b) => a - b);
    for (let i = 0; i < d; i++) assertAlmostEquals(ours[i]!, theirs[i]!, 1e-12 * theirs[d - 1]!, `d=${d} i=${i}`);
  }
});

Deno.test("symmetricEigenvalues() finds the known spectra of structured matrices", () => {
  const d = 50;
  assertEquals([...symmetricEigenvalues(new Float64Array(d * d), d)], Array(d).fill(0));
  const diagonal = new Float64Array(d * d);
  for (let i = 0; i < d; i++) diagonal[i * d + i] = (i * 7) % d;
  assertEquals([...symmetricEigenvalues(diagonal, d)].map((x) => Math.round(x * 1e12) / 1e12), [...Array(d).keys()]);
  const laplacian = new Float64Array(d * d); // eigenvalues 2 − 2 cos(kπ/(d + 1))
  for (let i = 0; i < d; i++) {
    laplacian[i * d + i] = 2;
    if (i > 0) laplacian[i * d + i - 1] = laplacian[(i - 1) * d + i] = -1;
  }
  symmetricEigenvalues(laplacian, d).forEach((x, k) =>
    assertAlmostEquals(x, 2 - 2 * Math.cos((k + 1) * Math.PI / (d + 1)), 1e-13)
  );
  const nearlyOnes = new Float64Array(d * d).fill(1); // one eigenvalue d, the others 0, tails of every size
  nearlyOnes[0]! += 1e-150;
  const spectrum = symmetricEigenvalues(nearlyOnes, d);
  assertAlmostEquals(spectrum[d - 1]!, d, 1e-12);
  assert(spectrum.subarray(0, d - 1).every((x) => Math.abs(x) < 1e-13));
});

Deno.test("symmetricSquareRoot() squared gives the matrix back, whatever its rank", () => {
  for (const [d, rows] of [[5, 20], [33, 10]] as const) {
    const matrix = gram(d, rows, 9);
    const root = symmetricSquareRoot(matrix, d);
    multiply(root, root, d).forEach((x, i) => assertAlmostEquals(x, matrix[i]!, 1e-11));
  }
});
