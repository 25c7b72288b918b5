import { digamma, logGamma } from "./special.ts";

/**
 * What the figures of a finite sample would be if it came from N(0, I): the
 * yardsticks beside the figures of prior_mismatch.ts. `count` is the number of
 * rows, `dims` of columns; mean and covariance are estimated (count − 1
 * degrees of freedom).
 */

/**
 * Eigenvalues of the sample covariance, `[dims]` in increasing order: quantiles
 * (i + ½)/dims of the Marchenko–Pastur law of ratio dims/(count − 1), which
 * must be below 1.
 */
export function marchenkoPasturSpectrum(dims: number, count: number): Float64Array {
  const ratio = dims / (count - 1);
  if (!(ratio < 1)) throw new RangeError(`No full-rank spectrum of ${count} rows in ${dims} dimensions`);
  // x = 1 + γ − 2√γ cos θ turns the density into a smooth one on [0, π].
  const cells = 8192, centre = 1 + ratio, radius = 2 * Math.sqrt(ratio);
  const spectrum = new Float64Array(dims);
  let mass = 0, next = 0;
  for (let cell = 0; cell < cells && next < dims; cell++) {
    const theta = (cell + 0.5) / cells * Math.PI;
    const density = (radius * Math.sin(theta)) ** 2 / (2 * Math.PI * ratio * (centre - radius * Math.cos(theta)));
    const step = density * Math.PI / cells;
    for (; next < dims && (next + 0.5) / dims <= mass + step; next++) {
      const within = ((next + 0.5) / dims - mass) / step;
      spectrum[next] = centre - radius * Math.cos((cell + within) / cells * Math.PI);
    }
    mass += step;
  }
  spectrum.fill(centre + radius, next); // the last quantiles, where rounding leaves the mass short of 1
  return spectrum;
}

/** Expected KL(N(m, S) ‖ N(0, I)) of the fitted Gaussian, nats per dimension, in closed form (Wishart). */
export function expectedGaussianKl(dims: number, count: number): number {
  const freedom = count - 1;
  let logDeterminant = dims * Math.log(2 / freedom);
  for (let i = 0; i < dims; i++) logDeterminant += digamma((freedom - i) / 2);
  return (dims / count - logDeterminant) / 2 / dims;
}

/** Standard deviation of ‖z‖/√dims, from the chi distribution. */
export function chiSpread(dims: number): number {
  const mean = Math.SQRT2 * Math.exp(logGamma((dims + 1) / 2) - logGamma(dims / 2));
  return Math.sqrt((dims - mean * mean) / dims);
}
