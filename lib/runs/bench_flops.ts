import type { BenchShape } from "./bench_shapes.ts";

/**
 * Floating-point operations of the matrix products in one training step, by the
 * case's name: forward once and backward twice, a multiplication and an addition
 * each. What is element-wise counts as none, so a share of the peak is a lower bound.
 */
export function stepFlops({ image, student, teacher, studentBatch, teacherBatch }: BenchShape): Record<string, number> {
  const [channels, height, width] = image;
  const tokensOf = (patch: number) => (height / patch) * (width / patch);
  const layers = (count: number, tokens: number, width: number) =>
    count * (24 * tokens * width ** 2 + 4 * tokens ** 2 * width);
  const tokens = tokensOf(student.patch), w = student.width, pixels = channels * student.patch ** 2;
  const modulations = 12 * student.depth * w ** 2 + 4 * w ** 2;
  const ends = 4 * tokens * pixels * w + 2 * (256 * w + w * w);
  const matching = studentBatch * (layers(student.depth, tokens, w) + modulations + ends);
  const flowTokens = tokensOf(teacher.patch), patchSize = channels * teacher.patch ** 2;
  const encode = teacher.blocks.reduce(
    (sum, depth) => sum + layers(depth, flowTokens, teacher.width) + 6 * flowTokens * patchSize * teacher.width,
    0,
  );
  return {
    "train FM": 3 * matching,
    "train NFM": 3 * matching + studentBatch * encode,
    "train teacher": 3 * teacherBatch * encode,
  };
}
