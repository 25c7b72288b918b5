import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { forceExecution, openEngine, repeat, type Tensor, tf, trace, withProducts } from "../../lib/engine/mod.ts";
import { AttributeKind, typeAttribute } from "../../lib/engine/attributes.ts";
import { ElementType } from "../../lib/engine/binding.ts";
import { nativeEngine } from "../../lib/engine/native.ts";
import { notRecorded } from "../../lib/engine/trace.ts";
import { recomputed } from "../../lib/engine/recompute.ts";

const engine = await openEngine("auto");
const onNative = { ignore: engine.kind !== "native" };

/** A small two-layer network with the kinds of operations that models use: lists, axes, masks, gradients. */
function step({ x, w1, w2, rate }: Record<string, Tensor>): Record<string, Tensor> {
  const loss = (w1: Tensor, w2: Tensor) => {
    const parts = tf.split(tf.matMul(x as never, w1 as never) as never, 2, -1) as Tensor[];
    const joined = tf.concat([tf.tanh(parts[1]!), tf.erf(parts[0]!)], -1);
    const attended = tf.softmax(tf.matMul(joined as never, joined as never, false, true));
    return tf.mean(tf.square(tf.matMul(tf.matMul(attended, joined as never), w2 as never))).asScalar();
  };
  const { value, grads } = tf.valueAndGrads((a, b) => loss(a!, b!))([w1!, w2!]);
  return { loss: value, w1: w1!.sub(grads[0]!.mul(rate!)), w2: w2!.sub(grads[1]!.mul(rate!)) };
}

function inputs(): Record<string, Tensor> {
  const wave = (shape: number[], phase: number) => {
    const size = shape.reduce((a, b) => a * b);
    return tf.tensor(Float32Array.from({ length: size }, (_, i) => Math.sin(i * 0.7 + phase)), shape);
  };
  return { x: wave([6, 5], 0), w1: wave([5, 8], 1), w2: wave([8, 3], 2), rate: tf.scalar(0.1) };
}

function close(actual: Tensor, expected: Tensor) {
  const a = actual.dataSync(), b = expected.dataSync();
  assertEquals(actual.shape, expected.shape);
  b.forEach((value, i) => assertAlmostEquals(a[i]!, value, 1e-5 * (1 + Math.abs(value))));
}

Deno.test("trace() gives the numbers of the eager run, for the first call, later calls and new values", () => {
  const traced = trace("step", step);
  const given = inputs();
  for (let call = 0; call < 3; call++) {
    const [fast, slow] = [traced(given), tf.tidy(() => step(given))];
    for (const name of ["loss", "w1", "w2"]) close(fast[name]!, slow[name]!);
    given.w1 = fast.w1!;
    given.rate = tf.scalar(0.1 / (call + 2));
  }
});

Deno.test("trace() records again for a new shape and keeps both", () => {
  const double = trace("double", ({ x }: Record<string, Tensor>) => ({ y: tf.concat([x!, x!], 0).add(1) }));
  for (const size of [2, 3, 2]) assertEquals(double({ x: tf.zeros([size]) }).y!.shape, [2 * size]);
});

Deno.test("trace() keeps inputs apart that are the same tensor at the recording", () => {
  const subtract = trace("subtract", ({ a, b }: Record<string, Tensor>) => ({ y: tf.sub(a!, b!) }));
  const one = tf.tensor1d([1, 2]);
  assertEquals([...subtract({ a: one, b: one }).y!.dataSync()], [0, 0]);
  assertEquals([...subtract({ a: tf.tensor1d([5, 5]), b: one }).y!.dataSync()], [4, 3]);
});

Deno.test("trace() records once whatever order the inputs are named in", onNative, () => {
  let recordings = 0;
  const subtract = trace("ordered", ({ a, b }: Record<string, Tensor>) => {
    recordings++;
    return { y: tf.sub(a!, b!) };
  });
  const a = tf.tensor1d([5]), b = tf.tensor1d([3]);
  for (const given of [{ a, b }, { b, a }]) assertEquals([...subtract(given).y!.dataSync()], [2]);
  assertEquals(recordings, 1);
});

Deno.test("trace() computes aside what it computes at once, with other operations meanwhile, and leaks nothing", async () => {
  const traced = trace("aside", step);
  const given = inputs(), before = tf.memory().numTensors;
  const under = [traced.aside(given), traced.aside({ ...given })];
  const [now, ...later] = [traced(given), ...await Promise.all(under)];
  for (const one of later) {
    for (const name of ["loss", "w1", "w2"]) assertEquals(one[name]!.dataSync(), now![name]!.dataSync());
  }
  tf.dispose([now, later] as never);
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("what fails aside is rejected with the engine's words, and the engine stays usable", onNative, async () => {
  const message = { name: "message", type: AttributeKind.string, value: "not a number" };
  const attributes = [typeAttribute("T", ElementType.float32), message];
  const traced = trace("fails aside", ({ x }: Record<string, Tensor>) => ({
    y: nativeEngine()!.backend.executeSingleOutput("CheckNumerics", attributes, [x!]),
  }));
  await assertRejects(() => traced.aside({ x: tf.tensor1d([NaN]) }), Error, "not a number");
  assertEquals([...tf.add(tf.ones([1]), 1).dataSync()], [2]);
});

Deno.test("trace() hands inputs and constants through as results of their own", () => {
  const through = trace("through", ({ x }: Record<string, Tensor>) => ({ x: x!, again: x!, k: tf.tensor1d([7, 8]) }));
  for (let call = 0; call < 2; call++) {
    const out = through({ x: tf.tensor1d([call]) });
    assertEquals([...out.x!.dataSync()], [call]);
    assertEquals([...out.again!.dataSync()], [call]);
    assertEquals([...out.k!.dataSync()], [7, 8]);
  }
});

Deno.test("trace() leaks no tensor, recording or replaying", () => {
  const traced = trace("leak", step);
  const given = inputs();
  const before = tf.memory().numTensors;
  for (let call = 0; call < 3; call++) Object.values(traced(given)).forEach((x) => x.dispose());
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("trace() runs eagerly what it cannot record, says why once, and leaves the engine usable", onNative, () => {
  const used = tf.tidy(() => tf.keep(tf.ones([2]).add(1)));
  const fresh = tf.tensor1d([2, 2]);
  const reading = ({ x }: Record<string, Tensor>) => ({ y: x!.mul(x!.sum().dataSync()[0]!) });
  const bodies: Record<string, (given: Record<string, Tensor>) => Record<string, Tensor>> = {
    "used outside": ({ x }) => ({ y: tf.add(x!, used) }),
    "fresh outside": ({ x }) => ({ y: tf.add(x!, fresh) }),
    "reader": reading,
  };
  const said: string[] = [], write = Deno.stderr.writeSync;
  Deno.stderr.writeSync = (bytes: Uint8Array) => {
    said.push(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  try {
    for (const [name, body] of Object.entries(bodies)) {
      const traced = trace(name, body), before = tf.memory().numTensors;
      for (const value of [1, 3]) {
        const x = tf.fill([2], value), { y } = traced({ x });
        const expected = name === "reader" ? 2 * value * value : value + 2;
        assertEquals([...y!.dataSync()], [expected, expected]);
        tf.dispose([x, y!]);
      }
      assertEquals(tf.memory().numTensors, before);
    }
  } finally {
    Deno.stderr.writeSync = write;
  }
  assertEquals(said.length, 3);
  for (const line of said.slice(0, 2)) assertStringIncludes(line, "pass it in as an input");
  assertStringIncludes(said[2]!, "it reads the value of a tensor");
  assertStringIncludes(said[2]!, "it runs operation by operation");
  assertEquals([...notRecorded.keys()], Object.keys(bodies));
  notRecorded.clear();
  assertEquals([...tf.add(tf.ones([1]), 1).dataSync()], [2]);
});

Deno.test("a mistake in what is traced comes up as its own error", () => {
  const wrong = trace("wrong", ({ x }: Record<string, Tensor>) => ({ y: tf.matMul(x as never, x as never) }));
  assertThrows(() => wrong({ x: tf.ones([2, 3]) }), Error, "size-incompatible");
  notRecorded.clear();
});

Deno.test("trace() gives the same bytes for the same inputs", () => {
  const traced = trace("bytes", step);
  const given = inputs();
  const run = () => Object.values(traced(given)).map((x) => [...x.dataSync()]);
  assertEquals(run(), run());
  assert(run().flat().every(Number.isFinite));
});

Deno.test("a compiled function gives the numbers of the eager run, and the same bytes each time", () => {
  const compiled = trace("compiled", step, { compile: true });
  const given = inputs();
  const [first, again, slow] = [compiled(given), compiled(given), tf.tidy(() => step(given))];
  for (const name of ["loss", "w1", "w2"]) {
    close(first[name]!, slow[name]!);
    assertEquals(again[name]!.dataSync(), first[name]!.dataSync());
  }
});

/** Passes `x` to an operation that XLA does not know: it tells whether a function was compiled. */
const inPlace = ({ x }: Record<string, Tensor>) => ({
  y: nativeEngine()!.backend.executeSingleOutput("InplaceUpdate", [typeAttribute("T", ElementType.float32)], [
    tf.add(x!, 0),
    tf.tensor1d([1], "int32"),
    tf.zeros([1, 2]),
  ]),
});
const onProcessor = { ignore: nativeEngine()?.binding.isUsingGpuDevice() ?? true };

Deno.test("only what is computed in no order of its own is compiled, in either type of products", onProcessor, () => {
  const x = tf.ones([2, 2]);
  const options = { compile: true };
  const asks = () => trace("asks", inPlace, options)({ x });
  assertThrows(asks, Error, "XLA");
  assertThrows(() => withProducts("bfloat16", asks), Error, "XLA");
  const gradient = (x: Tensor) => tf.grad((x: Tensor) => recomputed(({ x }) => tf.square(x!))({ x }).sum())(x);
  const ordered = trace("ordered", (given) => ({ ...inPlace(given), gradient: gradient(given.x!) }), options);
  assertEquals([...ordered({ x }).gradient!.dataSync()], [2, 2, 2, 2]);
  const loop = trace("ordered loop", (given) => {
    const { x } = repeat(2, { x: given.x! }, {}, ({ x }) => ({ x: gradient(x!) }));
    return { ...inPlace(given), x: x! };
  }, options);
  assertEquals([...loop({ x }).x!.dataSync()], [4, 4, 4, 4]);
  forceExecution("recorded");
  try {
    assertEquals([...asks().y!.dataSync()], [1, 1, 0, 0]);
  } finally {
    forceExecution(undefined);
  }
});
