import type { Measurement, MetricInfo } from "../metrics/types.ts";

/** The texts of a measurement: honest, and the same when what they say is rounded again. */
export interface Rounded {
  readonly value: string;
  /** Two significant digits. */
  readonly standardError?: string;
  /** The standard error at the value's own digits, for tables. */
  readonly spread?: string;
}

/**
 * Rounds a measurement to the digits that its metric declares, and no finer
 * than the first digit of its standard error; trailing zeros are kept.
 *
 * @example
 * ```ts
 * import { round } from "./rounding.ts";
 * import { assertEquals } from "@std/assert";
 * const info = { label: "FD", unit: "", better: "lower", digits: 3 } as const;
 * assertEquals(round({ value: 3.49672, standardError: 0.0412, sampleCount: 5000 }, info), {
 *   value: "3.50",
 *   standardError: "0.041",
 *   spread: "0.04",
 * });
 * ```
 */
export function round({ value, standardError }: Measurement, { digits }: MetricInfo): Rounded {
  if (standardError === undefined || !Number.isFinite(standardError) || standardError < 0) {
    return { value: fixed(value, digits) };
  }
  // Less than floating point itself: no spread worth digits.
  if (standardError < 1e-12) return { value: fixed(value, digits), standardError: "0", spread: fixed(0, digits) };
  // To two digits first, so that rounding what was already rounded changes nothing.
  const error = Number(standardError.toPrecision(2));
  const shown = Math.min(digits, Math.max(0, firstDigit(error)));
  return {
    value: fixed(value, shown),
    standardError: fixed(error, Math.max(0, firstDigit(error) + 1)),
    spread: fixed(error, Math.max(shown, Math.min(firstDigit(error), 6))),
  };
}

/** Digits after the point at which the first digit of `x` stands: 2 for 0.041, 0 for 4.1, -1 for 41. */
function firstDigit(x: number): number {
  return -Number(x.toExponential().split("e")[1]);
}

/** `toFixed` without a negative zero, which no figure means. */
export function fixed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return /^-0(\.0*)?$/.test(text) ? text.slice(1) : text;
}
