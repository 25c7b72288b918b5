import { type Tensor, tf } from "../engine/mod.ts";
import { Problem } from "../core/problem.ts";
import type { Rng } from "../core/rng.ts";
import { turn } from "../core/turn.ts";
import type { GuidedField, Sampler } from "./types.ts";

/** Turns a batch of noise and labels into data: a student under a solver, or the teacher. */
export type SampleSource = (
  noise: Tensor,
  labels: Tensor,
) => Promise<{ readonly data: Tensor; readonly curvature?: Float64Array }>;

/** A student under a solver, as a source. */
export function studentSource(sampler: Sampler, field: GuidedField): SampleSource {
  return (noise, labels) => sampler.sample(field, noise, labels);
}

export interface DrawOptions {
  readonly source: SampleSource;
  readonly count: number;
  readonly batchSize: number;
  /** `[channels, height, width]`. */
  readonly shape: readonly [number, number, number];
  readonly classes: number;
  /** Sample i starts from `rng.at(i)`, so neither the batch size nor the count changes a sample's noise. */
  readonly rng: Rng;
  /** `[count, …shape]`, used instead of N(0, I): the teacher's z of held-out images, say. */
  readonly noise?: Float32Array;
  /** `[count]`, used instead of the balanced labels. */
  readonly labels?: Int32Array;
  /**
   * Times that a batch with a value that is not finite is drawn again, under other noise and the same labels, as
   * TarFlow's evaluation does; 0 when absent, and where noise is given.
   */
  readonly redraws?: number;
  /** Called after every batch. An error thrown here stops the drawing. */
  readonly onProgress?: (done: number) => void;
}

/** Drawn samples, aligned row by row. */
export interface Drawn {
  /** `[count, channels, height, width]`, row-major. */
  readonly data: Float32Array;
  /** `[count]`. */
  readonly labels: Int32Array;
  /** `[count]`, when the source measures it. */
  readonly curvature?: Float64Array;
  /** How often a batch was drawn again, where one was. */
  readonly redrawn?: number;
}

/**
 * Balanced labels, `[count]`: 0, 1, …, classes − 1, 0, 1, … The paper does not
 * say how it draws labels; these leave no class out and every prefix is balanced.
 */
export function balancedLabels(count: number, classes: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => i % classes);
}

/**
 * Draws `count` samples, a batch at a time.
 *
 * @throws Problem (exit code 70) when a sample is not finite, nor after the last redraw
 */
export async function drawSamples(options: DrawOptions): Promise<Drawn> {
  const { source, count, batchSize, shape, rng, onProgress } = options;
  const dims = shape[0] * shape[1] * shape[2], redraws = options.noise ? 0 : options.redraws ?? 0;
  const labels = options.labels ?? balancedLabels(count, options.classes);
  requireRows("labels", labels.length, count);
  if (options.noise) requireRows("noise", options.noise.length / dims, count);
  const data = new Float32Array(count * dims);
  let curvature: Float64Array | undefined, redrawn = 0;
  const drawBatch = async (start: number, end: number, rng: Rng) => {
    const noise = tf.tensor(
      options.noise?.slice(start * dims, end * dims) ?? freshNoise(rng, start, end, dims),
      [end - start, ...shape],
    );
    const batchLabels = tf.tensor1d(labels.slice(start, end), "int32");
    const batch = await source(noise, batchLabels);
    data.set(await batch.data.data<"float32">(), start * dims);
    if (batch.curvature) (curvature ??= new Float64Array(count)).set(batch.curvature, start);
    tf.dispose([noise, batchLabels, batch.data]);
  };
  for (let start = 0; start < count; start += batchSize) {
    const end = Math.min(start + batchSize, count), broken = () => firstBroken(data, start, end, dims);
    await drawBatch(start, end, rng);
    for (let again = 1; again <= redraws && broken() !== undefined; again++, redrawn++) {
      await drawBatch(start, end, rng.fork(`redraw ${again}`));
    }
    requireFinite(broken(), redraws);
    await turn(); // for signals: on the native engine all is computed at once
    onProgress?.(end);
  }
  return { data, labels, ...(curvature && { curvature }), ...(redrawn > 0 && { redrawn }) };
}

function freshNoise(rng: Rng, start: number, end: number, dims: number): Float32Array {
  const noise = new Float32Array((end - start) * dims);
  for (let i = start; i < end; i++) noise.set(rng.at(i).normal(dims), (i - start) * dims);
  return noise;
}

function requireRows(what: string, rows: number, count: number): void {
  if (rows !== count) {
    throw new Problem(`Cannot draw ${count} samples from ${rows} rows of ${what}: give one row a sample`);
  }
}

/** The first row of some with a value that is not finite. */
function firstBroken(data: Float32Array, start: number, end: number, dims: number): number | undefined {
  for (let i = start * dims; i < end * dims; i++) if (!Number.isFinite(data[i])) return Math.floor(i / dims);
  return undefined;
}

function requireFinite(broken: number | undefined, redraws: number): void {
  if (broken === undefined) return;
  throw new Problem(
    `Sample ${broken} is not finite${redraws > 0 ? `, nor under other noise, ${redraws} times over` : ""}: ` +
      `its model diverged or its guidance weight is too large; lower the weight or train again at a lower rate`,
    { exitCode: 70 },
  );
}
