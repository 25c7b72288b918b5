import { assertAlmostEquals, assertEquals } from "@std/assert";
import { atOnce, joined, partsOf, repeat, rowByRow, type Tensors, tf, trace } from "../../lib/engine/mod.ts";
import { onGpu } from "../../lib/engine/native.ts";
import { partCount } from "../../lib/engine/parts.ts";
import { testOnEngines } from "../engines.ts";

Deno.test("partCount() divides the rows, asks for no more threads than there are, and leaves enough to each part", () => {
  for (let rows = 1; rows <= 300; rows++) {
    for (const threads of [1, 2, 3, 4, 7, 64]) {
      const count = partCount(rows, threads);
      assertEquals(rows % count, 0);
      assertEquals(count >= 1 && count <= threads && (count === 1 || rows / count >= 16), true, `${rows}, ${threads}`);
    }
  }
  assertEquals([partCount(32, 2), partCount(31, 2), partCount(250, 2), partCount(251, 2)], [2, 1, 2, 1]);
});

/** Per row and in total: x·w, how often its sum doubles, and the rows that a call of the body saw. */
function ofRows({ x, w }: Record<"x" | "w", ReturnType<typeof tf.tensor>>) {
  const y = tf.matMul(x, w);
  const { total } = repeat(3, { total: tf.sum(y, 1) }, {}, ({ total }) => ({ total: tf.add(total!, total!) }));
  return { y, total: total! };
}

/** A GPU computes all rows at once. */
const threads = () => onGpu() ? 1 : Number(Deno.env.get("TF_NUM_INTRAOP_THREADS")) || navigator.hardwareConcurrency;

for (const compile of [false, true]) {
  for (const rows of [1, 33, 64]) {
    const how = compile ? "compiled" : "recorded";
    testOnEngines(`rowByRow() of ${rows} rows, ${how}, gives what the whole gives, and leaks nothing`, (engine) => {
      const before = tf.memory().numTensors;
      const seen: number[] = [];
      const body = (given: Parameters<typeof ofRows>[0]) => {
        seen.push(given.x.shape[0]!);
        return ofRows(given);
      };
      const traced = trace("rows", ({ x, w }: Tensors) => rowByRow({ x: x! }, { w: w! }, body), { compile });
      for (const scale of [1, 2]) {
        const given = {
          x: tf.tensor2d(Float32Array.from({ length: rows * 3 }, (_, i) => scale * Math.sin(i)), [rows, 3]),
          w: tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]),
        };
        const found = traced(given), expected = tf.tidy(() => ({ ...ofRows(given) }));
        for (const key of ["y", "total"] as const) {
          assertEquals(found[key].shape, expected[key].shape);
          const actual = found[key].dataSync();
          expected[key].dataSync().forEach((value, i) =>
            assertAlmostEquals(actual[i]!, value, 1e-6 * (1 + Math.abs(value)))
          );
        }
        tf.dispose([given, found, expected]);
      }
      const parts = compile && engine === "native" ? partCount(rows, threads()) : 1;
      assertEquals(seen[0], rows / parts, "rows of a part");
      // On the native engine it is recorded once, however many parts there are.
      assertEquals(seen.length, engine === "native" ? 1 : 2);
      assertEquals(tf.memory().numTensors, before);
    });
  }
}

testOnEngines("what follows the parts of a compiled function is a part of its own, and parts may hold parts", () => {
  const traced = trace("mean of parts", ({ x, w }: Tensors) => {
    const parts = partsOf({ x: x! });
    const [shared] = atOnce([{ w: w! }], {}, ({ w }) => ({ twice: tf.mul(w, 2) }));
    const made = atOnce(parts, shared!, ({ x, twice }) => {
      const { y } = rowByRow({ x }, { twice }, ({ x, twice }) => ({ y: tf.mul(x, twice) }));
      return { y, sum: tf.sum(y) };
    });
    const sums = Object.fromEntries(made.map(({ sum }, i) => [`sum${i}`, sum]));
    const [rest] = atOnce([sums], {}, (given) => ({ total: tf.stack(Object.values(given)).sum() }));
    return { total: rest!.total, y: joined(made.map(({ y }) => ({ y }))).y };
  }, { compile: true });
  const x = tf.range(0, 64).reshape([64, 1]), w = tf.tensor2d([3], [1, 1]);
  const { total, y } = traced({ x, w });
  assertEquals([...total.dataSync()], [6 * 64 * 63 / 2]);
  assertEquals([...y.dataSync()], Array.from({ length: 64 }, (_, i) => 6 * i));
  tf.dispose([x, w, total, y]);
});
