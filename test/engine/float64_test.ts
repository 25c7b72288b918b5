import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { float64Algebra, openEngine } from "../../lib/engine/mod.ts";
import { nativeEngine } from "../../lib/engine/native.ts";
import { frechetMeasurement, frechetReference } from "../../lib/metrics/frechet.ts";
import { rowProducts } from "../../lib/metrics/row_products.ts";
import { statisticsOf } from "../../lib/metrics/statistics.ts";
import { inverseFourthRoot, symmetricEigenvalues } from "../../lib/metrics/symmetric.ts";
import { engines, testOnEngines } from "../engines.ts";

const d = 300;

testOnEngines(
  "matrices of many rows have their products, eigenvalues and roots in float64, and leak nothing",
  (engine) => {
    const native = nativeEngine()?.binding, before = native?.getNumOfTensors();
    assertEquals(float64Algebra(d) !== undefined, engine === "native");
    assertEquals(float64Algebra(64), undefined);

    const a = Float64Array.from(createRng(1).normal(d * 40)), b = Float64Array.from(createRng(2).normal(d * 40));
    const product = rowProducts(a, b, d);
    for (let at = 0; at < d * d; at += 101) {
      const i = Math.floor(at / d), j = at % d;
      let sum = 0;
      for (let k = 0; k < 40; k++) sum += a[i * 40 + k]! * b[j * 40 + k]!;
      assertAlmostEquals(product[at]!, sum, 1e-12);
    }
    const gram = rowProducts(a, a, d, { symmetric: true });
    gram.forEach((x, at) => assertEquals(x, gram[at % d * d + Math.floor(at / d)]));

    const laplacian = new Float64Array(d * d); // eigenvalues 2 − 2 cos(kπ/(d + 1)); what is above the diagonal is not read
    for (let i = 0; i < d; i++) {
      laplacian[i * d + i] = 2;
      if (i > 0) laplacian[i * d + i - 1] = -1;
      if (i + 1 < d) laplacian[i * d + i + 1] = 7;
    }
    symmetricEigenvalues(laplacian, d).forEach((x, k) =>
      assertAlmostEquals(x, 2 - 2 * Math.cos((k + 1) * Math.PI / (d + 1)), 1e-12)
    );

    const root = inverseFourthRoot(gram, d), half = rowProducts(root, root, d); // of rank 40: its inverse on its range
    const again = rowProducts(rowProducts(gram, rowProducts(half, half, d), d), gram, d);
    again.forEach((x, at) => assertAlmostEquals(x, gram[at]!, 1e-9));
    assertEquals(native?.getNumOfTensors(), before);
  },
);

Deno.test({
  name: "a Fréchet distance on many features is the same on every engine, with its standard error",
  fn: async () => {
    const draws = (seed: number, rows: number, shift: number) =>
      createRng(seed).normal(rows * d).map((x, i) => x * (1 + i % d / d) + shift);
    const found = [];
    for (const engine of engines) {
      await openEngine(engine);
      const reference = frechetReference(statisticsOf(draws(3, 1300, 0), d));
      found.push(frechetMeasurement(draws(4, 700, 0.1), reference));
    }
    const [first] = found;
    assert(first!.value > 0 && first!.standardError! > 0);
    for (const { value, standardError } of found) {
      assertAlmostEquals(value, first!.value, 1e-9 * first!.value);
      assertAlmostEquals(standardError!, first!.standardError!, 1e-9 * first!.standardError!);
    }
  },
  sanitizeResources: false, // an engine stays open
});
