import { cpu, describe } from "../engine/device.ts";
import { openEngine, type ProductType, tf } from "../engine/mod.ts";
import type { Cost } from "./stage_costs.ts";

/** How fast something computes: what a dry run turns operations into hours with. */
export interface Machine {
  readonly name: string;
  /** Operations a second that models reach on it, by what the factors of products are read in. */
  readonly rates: Readonly<Record<ProductType, number>>;
  /** Where the rates come from, for the reader. */
  readonly basis: string;
  /** Seconds that one layer takes at least, however little it computes. */
  readonly layerSeconds: number;
}

/**
 * An NVIDIA H100 SXM with float32 computed as such, without TF32, as `cuda.ts` has it. A compiled training step of
 * SiT-XL/4 with 32 samples took 0.57 s there in float32, 0.100 s in bfloat16 (ablations/LOG.md, 2026-11-26): these shares
 * of its published peaks. Smaller models reach less; so did the paper's teacher before its step was compiled, a fifth of it.
 */
export const h100: Machine = {
  name: "H100",
  rates: { float32: 0.6 * 66.9e12, bfloat16: 0.23 * 989.4e12 },
  basis: "60% of 66.9 TFLOP/s in float32, 23% of 989.4 in bfloat16: what a step of SiT-XL/4 reached",
  // A token of the paper's teacher takes about 10 ms over its 64 layers (Table 8).
  layerSeconds: 1.5e-4,
};

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
    // Not all processors are faster in bfloat16, those with AMX by up to two.
    rates: { float32: share * peak, bfloat16: share * peak },
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
export function secondsOn({ rates, layerSeconds }: Machine, { flops, serial }: Cost): number {
  return flops.float32 / rates.float32 + flops.bfloat16 / rates.bfloat16 + serial * layerSeconds;
}
