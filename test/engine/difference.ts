/** An operation: largest difference over the largest value of the oracle. */
export const FORWARD = 5e-6;
/** A gradient: the same, and the norm of the difference over the norm of the oracle. */
export const BACKWARD = { largest: 5e-5, norm: 1e-5 };

/** How far `actual` is from `expected`: in its worst element, over the largest element; and in norm, over the norm. */
export function difference(actual: ArrayLike<number>, expected: Float64Array): { largest: number; norm: number } {
  if (actual.length !== expected.length) return { largest: Infinity, norm: Infinity };
  let worst = 0, top = 0, square = 0, whole = 0;
  for (let i = 0; i < expected.length; i++) {
    const apart = actual[i]! - expected[i]!;
    if (Number.isNaN(apart)) return { largest: NaN, norm: NaN };
    worst = Math.max(worst, Math.abs(apart));
    top = Math.max(top, Math.abs(expected[i]!));
    square += apart ** 2;
    whole += expected[i]! ** 2;
  }
  return {
    largest: top === 0 ? worst : worst / top,
    norm: whole === 0 ? Math.sqrt(square) : Math.sqrt(square / whole),
  };
}
