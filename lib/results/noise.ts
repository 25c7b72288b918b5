import jstat from "jstat";
import type { Figure } from "./figures.ts";

/** A difference of at most so many combined standard errors is within noise, where these are known well. */
export const noise = 2;

/**
 * The same where they were estimated from few seeds: the quantile of Student's t
 * with Welch and Satterthwaite's degrees of freedom that is exceeded as seldom as
 * `noise` is by a Gaussian, by chance in 1 case of 22. With 3 seeds a side it is 2.9
 * if both spread alike; with 2 seeds, 4.5.
 *
 * @param figures with standard errors not all 0, those of `perSeed` over seeds; another counts as known
 */
export function noiseBetween(...figures: readonly Pick<Figure, "standardError" | "perSeed">[]): number {
  const variances = figures.map(({ standardError = 0 }) => standardError ** 2);
  const total = variances.reduce((sum, variance) => sum + variance, 0);
  const doubt = figures.reduce(
    (sum, { perSeed = [] }, i) => perSeed.length < 2 ? sum : sum + (variances[i]! / total) ** 2 / (perSeed.length - 1),
    0,
  );
  return doubt === 0 ? noise : jstat.studentt.inv(jstat.normal.cdf(noise, 0, 1), 1 / doubt);
}
