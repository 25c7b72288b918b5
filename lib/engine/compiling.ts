/**
 * How what is being recorded is going to be compiled: not at all, as a whole,
 * in the parts alone that it is made of, or as one of these.
 */
type Compiling = "not" | "whole" | "parts" | "part";

let now: Compiling = "not";

/** Records what is to be compiled as `how` says. */
export function recordedAs<Result>(how: Exclude<Compiling, "parts">, record: () => Result): Result {
  const before = now;
  now = how;
  try {
    return record();
  } finally {
    now = before;
  }
}

/** From here on the parts alone of what is being recorded are compiled. */
export function compileParts(): void {
  now = "parts";
}

/** Whether what is being recorded is going to be compiled: it may hold operations that XLA alone knows. */
export const isCompiled = (): boolean => now === "whole" || now === "part";

/** Whether what is being recorded is going to be compiled, and is no part: it may be divided. */
export const isDivisible = (): boolean => now === "whole" || now === "parts";
