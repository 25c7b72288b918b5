import { assert } from "@std/assert";
import { createRng } from "../../lib/core/rng.ts";
import { locate } from "../../lib/engine/locate.ts";
import { openEngine, type Tensor, tf } from "../../lib/engine/mod.ts";
import { difference, FORWARD } from "./difference.ts";
import * as f64 from "./float64.ts";
import type { Dense } from "./float64.ts";

// One causal pre-norm transformer block, as the models have it, in float64 and on the engine, and the ways in which
// such a block is got wrong. The comparison that accepts the right one must refuse every wrong one.
const TOKENS = 5, WIDTH = 8, HEADS = 2, EPSILON = 1e-5;

const mutations = [
  "epsilon of the norm 1e-6",
  "variance over n - 1",
  "no gain",
  "no bias of the norm",
  "attention not scaled",
  "scaled by the width, not the head",
  "mask shifted by one",
  "no mask",
  "softmax over the queries",
  "keys not transposed by head",
  "values and keys changed over",
  "projection transposed",
  "dropped bias",
  "no residual",
  "tanh approximation of GELU",
  "sigmoid approximation of GELU",
  "norm after, not before",
] as const;
type Mutation = typeof mutations[number] | "none";

type Parameters<T> = Readonly<
  Record<"gain" | "shift" | "qkv" | "qkvBias" | "out" | "outBias" | "up" | "upBias" | "down", T>
>;
const shapes: Parameters<number[]> = {
  gain: [WIDTH],
  shift: [WIDTH],
  qkv: [WIDTH, 3 * WIDTH],
  qkvBias: [3 * WIDTH],
  out: [WIDTH, WIDTH],
  outBias: [WIDTH],
  up: [WIDTH, 4 * WIDTH],
  upBias: [4 * WIDTH],
  down: [4 * WIDTH, WIDTH],
};

/** The oracle. */
function reference(x: Dense, p: Parameters<Dense>): Dense {
  const norm = (a: Dense) => {
    const centred = f64.sub(a, f64.fold(a, [-1], f64.average));
    const variance = f64.fold(f64.map(centred, (v) => v * v), [-1], f64.average);
    return f64.add(f64.mul(f64.zip(centred, variance, (v, s) => v / Math.sqrt(s + EPSILON)), p.gain), p.shift);
  };
  const heads = (a: Dense, at: number) => {
    const part = f64.slice(a, [0, at * WIDTH], [TOKENS, WIDTH]);
    return f64.transpose(f64.reshape(part, [TOKENS, HEADS, WIDTH / HEADS]), [1, 0, 2]);
  };
  const qkv = f64.add(f64.matMul(norm(x), p.qkv), p.qkvBias);
  const [q, k, v] = [heads(qkv, 0), heads(qkv, 1), heads(qkv, 2)];
  const scores = f64.map(f64.matMul(q, f64.swap(k)), (s) => s / Math.sqrt(WIDTH / HEADS));
  const masked = f64.build(scores.shape, ([h, i, j]) => j! > i! ? -Infinity : f64.get(scores, [h!, i!, j!]));
  const mixed = f64.reshape(f64.transpose(f64.matMul(f64.softmax(masked), v), [1, 0, 2]), [TOKENS, WIDTH]);
  const middle = f64.add(x, f64.add(f64.matMul(mixed, p.out), p.outBias));
  const hidden = f64.map(
    f64.add(f64.matMul(norm(middle), p.up), p.upBias),
    (u) => u / 2 * (1 + f64.erf(u / Math.SQRT2)),
  );
  return f64.add(middle, f64.matMul(hidden, p.down));
}

/** The same on the engine, right or with one mutation. */
function block(x: Tensor, p: Parameters<Tensor>, mutation: Mutation): Tensor {
  const is = (name: Mutation) => mutation === name;
  const norm = (a: Tensor) => {
    const centred = tf.sub(a, tf.mean(a, -1, true));
    const count = is("variance over n - 1") ? WIDTH - 1 : WIDTH;
    const variance = tf.div(tf.sum(tf.square(centred), -1, true), count);
    const scaled = tf.mul(centred, tf.rsqrt(tf.add(variance, is("epsilon of the norm 1e-6") ? 1e-6 : EPSILON)));
    const gained = is("no gain") ? scaled : tf.mul(scaled, p.gain);
    return is("no bias of the norm") ? gained : tf.add(gained, p.shift);
  };
  const heads = (a: Tensor) => tf.transpose(tf.reshape(a, [TOKENS, HEADS, WIDTH / HEADS]), [1, 0, 2]);
  const before = is("norm after, not before") ? x : norm(x);
  const joined = tf.add(tf.matMul(before as tf.Tensor2D, p.qkv as tf.Tensor2D), is("dropped bias") ? 0 : p.qkvBias);
  const [q, first, second] = tf.split(joined, 3, -1).map(heads) as [Tensor, Tensor, Tensor];
  const [k, v] = is("values and keys changed over") ? [second, first] : [first, second];
  const perHead = is("keys not transposed by head") ? tf.reshape(tf.transpose(k, [1, 0, 2]), k.shape) : k;
  const scale = is("attention not scaled")
    ? 1
    : is("scaled by the width, not the head")
    ? WIDTH ** -0.5
    : (WIDTH / HEADS) ** -0.5;
  const open = is("mask shifted by one") ? 1 : is("no mask") ? TOKENS : 0;
  const mask = tf.tensor2d(
    Array.from({ length: TOKENS ** 2 }, (_, i) => i % TOKENS > Math.floor(i / TOKENS) + open ? -1e9 : 0),
    [TOKENS, TOKENS],
  );
  const scores = tf.add(tf.mul(tf.matMul(q, perHead, false, true), scale), mask);
  const weights = is("softmax over the queries")
    ? tf.transpose(tf.softmax(tf.transpose(scores, [0, 2, 1])), [0, 2, 1])
    : tf.softmax(scores);
  const mixed = tf.reshape(tf.transpose(tf.matMul(weights, v), [1, 0, 2]), [TOKENS, WIDTH]);
  const turned = is("projection transposed");
  const projected = tf.add(tf.matMul(mixed as tf.Tensor2D, p.out as tf.Tensor2D, false, turned), p.outBias);
  const middle = is("no residual") ? projected : tf.add(x, projected);
  const u = tf.add(tf.matMul(norm(middle) as tf.Tensor2D, p.up as tf.Tensor2D), p.upBias);
  const result = tf.add(middle, tf.matMul(gelu(u, mutation) as tf.Tensor2D, p.down as tf.Tensor2D));
  return is("norm after, not before") ? norm(result) : result;
}

function gelu(u: Tensor, mutation: Mutation): Tensor {
  if (mutation === "sigmoid approximation of GELU") return tf.mul(u, tf.sigmoid(tf.mul(u, 1.702)));
  const inner = mutation === "tanh approximation of GELU"
    ? tf.tanh(tf.mul(tf.add(u, tf.mul(tf.mul(tf.square(u), u), 0.044715)), Math.sqrt(2 / Math.PI)))
    : tf.erf(tf.div(u, Math.SQRT2));
  return tf.mul(tf.div(u, 2), tf.add(inner, 1));
}

for (
  const { kind, ignore } of [{ kind: "wasm", ignore: false }, { kind: "native", ignore: !await locate() }] as const
) {
  Deno.test({
    name: `${kind}: a transformer block agrees with float64, and ${mutations.length} mutants of it do not`,
    ignore,
    async fn() {
      await openEngine(kind);
      const rng = createRng(5);
      // Small activations, so that the epsilon of the norm matters.
      const draw = (name: string, shape: number[], scale: number): Dense => ({
        shape,
        data: Float64Array.from(rng.fork(name).normal(shape.reduce((a, b) => a * b)), (v) => Math.fround(v * scale)),
      });
      const x = draw("x", [TOKENS, WIDTH], 0.3);
      const parameters = Object.fromEntries(
        Object.entries(shapes).map(([name, shape]) => [name, draw(name, shape, 0.5)]),
      ) as Parameters<Dense>;
      const expected = reference(x, parameters);
      const run = (mutation: Mutation) =>
        tf.tidy(() => {
          const tensor = ({ data, shape }: Dense) => tf.tensor(Float32Array.from(data), [...shape]);
          const given = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, tensor(value)]));
          return difference(block(tensor(x), given as Parameters<Tensor>, mutation).dataSync(), expected.data).largest;
        });
      const right = run("none");
      assert(right <= FORWARD, `the right one differs by ${right}`);
      const survivors = mutations.map((name) => [name, run(name)] as const).filter(([, apart]) => apart <= FORWARD);
      assert(survivors.length === 0, `not noticed: ${survivors}`);
    },
  });
}
