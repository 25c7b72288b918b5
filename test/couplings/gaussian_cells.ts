/** Masses and cost of an assignment, computed in float64 without the engine. */
export interface Cells {
  readonly masses: Float64Array;
  /** E[−⟨x, y⟩]. */
  readonly cost: number;
}

/**
 * Integrates N(0, I) over the cells of argmax_j ⟨x, y_j⟩ + g_j, in one or two
 * dimensions, by the midpoint rule on [−7, 7]; good to about 1e-4.
 */
export function gaussianCells(points: Float32Array, dimension: 1 | 2, potential: ArrayLike<number>): Cells {
  const size = points.length / dimension, step = dimension === 1 ? 1e-4 : 0.01;
  const ticks = Math.round(14 / step), masses = new Float64Array(size);
  let cost = 0, total = 0;
  for (let a = 0; a < ticks; a++) {
    const x = -7 + (a + 0.5) * step;
    for (let b = 0; b < (dimension === 1 ? 1 : ticks); b++) {
      const y = dimension === 1 ? 0 : -7 + (b + 0.5) * step;
      const density = Math.exp(-(x * x + y * y) / 2);
      const { index, product } = best(points, dimension, potential, x, y);
      masses[index]! += density;
      cost -= density * product;
      total += density;
    }
  }
  return { masses: masses.map((mass) => mass / total), cost: cost / total };
}

function best(points: Float32Array, dimension: 1 | 2, potential: ArrayLike<number>, x: number, y: number) {
  let index = 0, product = 0, greatest = -Infinity;
  for (let j = 0; j < potential.length; j++) {
    const inner = x * points[j * dimension]! + (dimension === 2 ? y * points[j * 2 + 1]! : 0);
    if (inner + potential[j]! > greatest) [index, product, greatest] = [j, inner, inner + potential[j]!];
  }
  return { index, product };
}
