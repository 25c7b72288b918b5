import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { createRng } from "../../lib/core/rng.ts";
import { locate } from "../../lib/engine/locate.ts";
import { openEngine, type Tensor, tf, trace } from "../../lib/engine/mod.ts";
import { centralDifferences, type Dense, total } from "./float64.ts";
import { BACKWARD, difference, FORWARD } from "./difference.ts";
import { type Operation, operations } from "./operations.ts";

const engines = [
  { kind: "wasm", ignore: false },
  { kind: "native", ignore: await locate() === undefined },
] as const;

const rng = createRng(11);

for (const { kind, ignore } of engines) {
  for (const operation of operations) {
    Deno.test({
      name: `${kind}: ${operation.name}`,
      ignore,
      async fn() {
        await openEngine(kind);
        const tensors = tf.memory().numTensors;
        compareForward(operation);
        const { gradient = "both" } = operation;
        if (gradient === "both" || gradient === kind) compareGradient(operation);
        assertEquals(tf.memory().numTensors, tensors);
      },
    });
  }
}

/** Run once, then traced and called with other values: what a recording fixes by mistake shows in the second. */
function compareForward(operation: Operation): void {
  const traced = trace(
    "operation",
    (given: Record<string, Tensor>) => ({ out: operation.run(...Object.values(given)) }),
  );
  for (const [call, how] of ["eager", "traced", "traced"].entries()) {
    if (how === "traced" && operation.untraceable) continue;
    const values = draw(operation, call);
    const inputs = toTensors(values, operation);
    const { out } = how === "eager" ? { out: tf.tidy(() => operation.run(...inputs)) } : traced(named(inputs));
    const expected = operation.reference(...values);
    assertEquals(out!.shape, [...expected.shape], "shape");
    const found = difference(out!.dataSync(), expected.data);
    tf.dispose([out!, ...inputs]);
    assert(found.largest <= FORWARD, `call ${call}: differs by ${found.largest}`);
  }
}

function compareGradient(operation: Operation): void {
  const values = draw(operation, 0);
  const shape = operation.reference(...values).shape;
  const weights = Float64Array.from(rng.fork("weights").normal(Math.max(1, shape.reduce((a, b) => a * b, 1))));
  const loss = (inputs: Dense[]) => total([...operation.reference(...inputs).data].map((x, i) => x * weights[i]!));
  const expected = centralDifferences(loss, values);
  const inputs = toTensors(values, operation);
  const weightTensor = tf.tensor(Float32Array.from(weights), [...shape]);
  const smooth = inputs.map((_, i) => i).filter((i) => !operation.inputs[i]!.integer);
  const traced = trace("gradient", (given: Record<string, Tensor>) => {
    const all = inputs.map((_, i) => given[`x${i}`]!);
    const scalar = (...xs: Tensor[]) => {
      const mixed = all.map((x, i) => smooth.includes(i) ? xs[smooth.indexOf(i)]! : x);
      return tf.sum(tf.mul(operation.run(...mixed), given.weight!)).asScalar();
    };
    return named(tf.grads(scalar)(smooth.map((i) => all[i]!)));
  });
  const gradients = Object.values(traced({ ...named(inputs), weight: weightTensor }));
  const found = gradients.map((gradient, i) => difference(gradient.dataSync(), expected[smooth[i]!]!.data));
  tf.dispose([...gradients, ...inputs, weightTensor]);
  for (const [i, { largest, norm }] of found.entries()) {
    const what = `gradient of input ${smooth[i]}`;
    assert(largest <= BACKWARD.largest && norm <= BACKWARD.norm, `${what}: differs by ${largest}, in norm ${norm}`);
  }
}

Deno.test("difference: sees one wrong element, one that is not a number, and a sign", () => {
  const expected = Float64Array.of(1, -2, 3);
  assertEquals(difference([1, -2, 3], expected).largest, 0);
  assert(difference([1, -2, 3.001], expected).largest > FORWARD);
  assert(!(difference([1, NaN, 3], expected).largest <= FORWARD));
  assert(difference([1, 2, 3], expected).largest > FORWARD);
  assert(!(difference([], expected).largest <= FORWARD));
});

for (const { kind, ignore } of engines) {
  Deno.test({
    name: `${kind}: sums of 2^16 and 2^20 numbers keep the digits that reductions are trusted with`,
    ignore,
    async fn() {
      await openEngine(kind);
      for (const size of [2 ** 16, 2 ** 20]) {
        const values = Float32Array.from(rng.fork("sum").uniform(size));
        const exact = values.reduce((sum, value) => sum + value, 0);
        const sum = tf.tidy(() => tf.sum(tf.tensor1d(values)).dataSync()[0]!);
        // Measured: native 1e-7; wasm adds one by one and loses with the square root of the count.
        assert(
          Math.abs(sum / exact - 1) <= (kind === "wasm" ? 1e-4 : 1e-6),
          `2^${Math.log2(size)}: ${sum / exact - 1}`,
        );
      }
    },
  });
}

/** Random inputs that float32 holds exactly. Neighbours of a kink are moved away from it. */
function draw(operation: Operation, call: number): Dense[] {
  return operation.inputs.map(({ shape, low = -1, high = 1, integer = false }, i) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const source = rng.fork(operation.name).at(call).at(i).uniform(size);
    const value = (u: number) => {
      const x = low + (high - low) * u;
      return integer ? Math.round(x) : Math.fround(Math.abs(x) < 1e-2 ? 1e-2 : x);
    };
    return { shape, data: source.map(value) };
  });
}

function toTensors(values: readonly Dense[], operation: Operation): Tensor[] {
  return values.map(({ shape, data }, i) =>
    operation.inputs[i]!.integer
      ? tf.tensor(Int32Array.from(data), [...shape], "int32")
      : tf.tensor(Float32Array.from(data), [...shape])
  );
}

function named(tensors: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(tensors.map((tensor, i) => [`x${i}`, tensor]));
}

Deno.test("operations: every operation that the project's sources call is in the battery", async () => {
  const covered = new Set(operations.flatMap(({ name }) => name.match(/^\w+/)!));
  // Makers and keepers of tensors, and what is built of other operations.
  const others = new Set(
    ("tensor tensor1d tensor2d tensor3d tensor4d scalar fill zeros ones tidy keep dispose customGrad grad grads valueAndGrad " +
      "valueAndGrads variableGrads data dataSync array arraySync asScalar as1D toString print ready memory engine setBackend " +
      "getBackend registerBackend registerKernel unregisterKernel").split(" "),
  );
  const missing = new Set<string>();
  for await (const [path, text] of sources(join(import.meta.dirname!, "../../lib"))) {
    // Chained calls look like those of arrays, so only those count that arrays and Math do not have.
    const calls = [...text.matchAll(/\btf\.(\w+)[(<]/g), ...text.matchAll(/(?<!Math|tf|\.)\.(\w+)\(/g)];
    for (const [call, name] of calls) {
      const chained = !call.startsWith("tf.");
      if (chained && (!(name! in tf.Tensor.prototype) || name! in Array.prototype || name! in Object.prototype)) {
        continue;
      }
      if (chained && name! in Math && !covered.has(name!)) continue;
      if (!chained && typeof (tf as Record<string, unknown>)[name!] !== "function") continue;
      if (!covered.has(name!) && !others.has(name!)) missing.add(`${name} (${path})`);
    }
  }
  assertEquals([...missing], []);
});

async function* sources(folder: string): AsyncGenerator<[string, string]> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sources(path);
    else if (path.endsWith(".ts")) {
      const text = await Deno.readTextFile(path);
      if (/engine\/mod\.ts"|"\.\/tf\.ts"/.test(text)) yield [path, text];
    }
  }
}

Deno.test({
  name: "native: a program that used it and ends by itself leaves with exit code 0",
  ignore: engines[1].ignore,
  async fn() {
    const program = `
      import { openEngine, tf } from "${new URL("../../lib/engine/mod.ts", import.meta.url)}";
      await openEngine("native");
      console.log(tf.sum(tf.ones([3, 4])).dataSync()[0]);`;
    const file = await Deno.makeTempFile({ suffix: ".ts", dir: import.meta.dirname! });
    try {
      await Deno.writeTextFile(file, program);
      const run = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", file] }).output();
      assertEquals([new TextDecoder().decode(run.stdout).trim(), run.code, run.signal], ["12", 0, null]);
    } finally {
      await Deno.remove(file);
    }
  },
});
