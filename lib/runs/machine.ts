import { cpu, describe } from "../engine/device.ts";
import { openEngine, tf } from "../engine/mod.ts";
import type { Cost } from "./stage_costs.ts";

/** How fast something computes: what a dry run turns operations into hours with. */
export interface Machine {
  readonly name: string;
  /** Operations a second that models reach on it. */
  readonly rate: number;
  /** Where the rate comes from, for the reader. */
  readonly basis: string;
  /** Seconds that one layer takes at least, however little it computes. */
  readonly layerSeconds: number;
}

/** Of the published peak of an NVIDIA H100 SXM (dense), what transformers reach in training as a rule. */
const h100Share = 0.4;
const h100 = (kind: string, peak: number): Machine => ({
  name: `H100 ${kind}`,
  rate: h100Share * peak,
  basis: `${h100Share * 100}% of ${peak / 1e12} TFLOP/s`,
  // A token of the paper's teacher takes about 10 ms over its 64 layers (Table 8).
  layerSeconds: 1.5e-4,
});

/** With its products in TF32, as TensorFlow computes those of float32 by default, and in bf16. */
export const h100s: readonly Machine[] = [h100("TF32", 494.7e12), h100("bf16", 989.4e12)];

/**
 * This machine, by the product of two matrices on the engine in question, timed
 * now. Wide models reach more of it than narrow ones.
 *
 * @param width of the widest model
 */
export async function thisMachine(engine: "native" | "wasm", width: number): Promise<Machine> {
  const { kind } = await openEngine(engine);
  const peak = productRate(kind === "native" ? 1024 : 384), share = width >= 256 ? 0.65 : 0.3;
  return {
    name: `${describe(cpu())}, ${kind} engine`,
    rate: share * peak,
    basis: `${share * 100}% of ${(peak / 1e9).toPrecision(3)} GFLOP/s, the product of two matrices measured now`,
    layerSeconds: kind === "native" ? 3e-4 : 2e-3,
  };
}

/** Operations a second of float32 products of this side: the best of several, the first of which warms up. */
function productRate(side: number): number {
  const [a, b] = [tf.ones([side, side]), tf.ones([side, side])] as [tf.Tensor2D, tf.Tensor2D];
  let best = Infinity;
  for (let i = 0; i < 6; i++) {
    const start = performance.now();
    const product = tf.matMul(a, b);
    product.dataSync();
    best = Math.min(best, performance.now() - start);
    product.dispose();
  }
  tf.dispose([a, b]);
  return 2 * side ** 3 / (best / 1000);
}

/** Seconds that a machine takes for some work. */
export function secondsOn({ rate, layerSeconds }: Machine, { flops, serial }: Cost): number {
  return flops / rate + serial * layerSeconds;
}
