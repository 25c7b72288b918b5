import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import { createRng } from "../../lib/core/rng.ts";
import { pivotedCholesky } from "../../lib/metrics/cholesky.ts";
import { reordered, rowProducts, transpose } from "../../lib/metrics/row_products.ts";
import { inverseFourthRoot, symmetricEigenvalues } from "../../lib/metrics/symmetric.ts";

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

Deno.test("pivotedCholesky() is triangular and gives the reordered matrix back, whatever its rank", () => {
  for (const [d, rows] of [[1, 1], [5, 20], [33, 10], [34, 2]] as const) {
    const matrix = gram(d, rows, 9);
    const { transposed, order } = pivotedCholesky(matrix, d);
    assertEquals([...order].sort((a, b) => a - b), [...Array(d).keys()]);
    transposed.forEach((x, i) => assert(i % d >= Math.floor(i / d) || x === 0, `row ${Math.floor(i / d)}`));
    const lower = transpose(transposed, d);
    const again = rowProducts(lower, lower, d, { symmetric: true });
    reordered(matrix, d, order).forEach((x, i) => assertAlmostEquals(again[i]!, x, 1e-11));
    const rank = transposed.filter((x, i) => i % (d + 1) === 0 && x > 0).length;
    assertEquals(rank, Math.min(d, rows));
  }
  assertEquals(pivotedCholesky(new Float64Array(9), 3).transposed, new Float64Array(9));
});

Deno.test("rowProducts() are sums of products, and what is known of the factors changes none", () => {
  for (const [n, length] of [[1, 3], [7, 4], [70, 5], [129, 129]] as const) {
    const a = createRng(n).normal(n * length), b = createRng(n + 1).normal(n * length);
    const [x, y] = [Float64Array.from(a), Float64Array.from(b)];
    const product = rowProducts(x, y, n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < length; k++) sum += x[i * length + k]! * y[j * length + k]!;
        assertAlmostEquals(product[i * n + j]!, sum, 1e-12);
      }
    }
    assertEquals(rowProducts(x, x, n, { symmetric: true }), rowProducts(x, x, n));
  }
  const d = 9, upper = Float64Array.from(createRng(3).normal(d * d), (x, i) => i % d < Math.floor(i / d) ? 0 : x);
  const full = Float64Array.from(createRng(4).normal(d * d));
  assertEquals(rowProducts(upper, full, d, { triangular: "a" }), rowProducts(upper, full, d));
  assertEquals(rowProducts(full, upper, d, { triangular: "b" }), rowProducts(full, upper, d));
});

Deno.test("inverseFourthRoot() to the fourth power inverts a matrix on its range", () => {
  for (const [d, rows] of [[6, 30], [12, 5]] as const) {
    const matrix = gram(d, rows, 4), root = inverseFourthRoot(matrix, d);
    const half = rowProducts(root, root, d); // M^(−½)
    const inverse = rowProducts(half, half, d);
    const projection = rowProducts(matrix, inverse, d);
    const again = rowProducts(projection, matrix, d);
    again.forEach((x, i) => assertAlmostEquals(x, matrix[i]!, 1e-9));
  }
});
