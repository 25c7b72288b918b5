import { type Tensor, tf } from "../engine/mod.ts";
import type { FlowGuidance, NormalizingFlow } from "../models/types.ts";
import type { SampleSource } from "./draw.ts";

/** How the teacher itself is sampled. */
export interface TeacherSampling {
  /** Guidance within the flow's blocks; none when absent. */
  readonly guidance?: FlowGuidance;
  /** η of its training: one score step removes that noise (paper §4.2.1). Absent: the raw x′ is returned. */
  readonly noiseStd?: number;
  /** Samples denoised at a time: the score step keeps every layer's activations, decoding none. All when absent. */
  readonly denoiseBatch?: number | undefined;
  /**
   * σ_f, `[channels, height, width]`, when the teacher is to be shown beside a
   * student from the same seed: the student starts from z = f/σ_f, the teacher
   * inverts f, so it is fed σ_f·z. Absent, the teacher is fed the noise itself.
   */
  readonly sigma?: Tensor;
}

/**
 * Data from noise by the teacher's inverse, then its denoising step.
 *
 * @param noise `[batch, channels, height, width]`
 * @param labels `[batch]` int32; the flow's own label is used for denoising
 * @returns `[batch, channels, height, width]`; the caller disposes it
 */
export function teacherSamples(
  flow: NormalizingFlow,
  noise: Tensor,
  labels: Tensor,
  { guidance, noiseStd, denoiseBatch = noise.shape[0]!, sigma }: TeacherSampling = {},
): Tensor {
  return tf.tidy(() => {
    const noisy = flow.decode(sigma ? noise.mul(sigma) : noise, labels, guidance);
    if (noiseStd === undefined) return noisy;
    const pieces: Tensor[] = [];
    for (let start = 0; start < noise.shape[0]!; start += denoiseBatch) {
      const rows = Math.min(denoiseBatch, noise.shape[0]! - start);
      pieces.push(flow.denoise(noisy.slice(start, rows), labels.slice(start, rows), noiseStd));
    }
    return pieces.length === 1 ? pieces[0]! : tf.concat(pieces, 0);
  });
}

/** The teacher as a source for `drawSamples`. */
export function teacherSource(flow: NormalizingFlow, options: TeacherSampling = {}): SampleSource {
  return (noise, labels) => Promise.resolve({ data: teacherSamples(flow, noise, labels, options) });
}
