/** Types for `@std/assert`, whose code comes from npm where the JSR registry cannot be reached (see CONTRIBUTING). */
// deno-lint-ignore-file no-explicit-any
import * as std from "deno-std/assert";

const untyped = std as any;
// deno-lint-ignore ban-types
type Class<E> = Function & { prototype: E };

export const assert: (condition: unknown, message?: string) => asserts condition = untyped.assert;
export const assertEquals: <T>(actual: T, expected: T, message?: string) => void = untyped.assertEquals;
export const assertNotEquals: <T>(actual: T, expected: T, message?: string) => void = untyped.assertNotEquals;
export const assertStrictEquals: <T>(actual: unknown, expected: T, message?: string) => asserts actual is T =
  untyped.assertStrictEquals;
export const assertAlmostEquals: (actual: number, expected: number, tolerance?: number, message?: string) => void =
  untyped.assertAlmostEquals;
export const assertLess: <T>(actual: T, expected: T, message?: string) => void = untyped.assertLess;
export const assertLessOrEqual: <T>(actual: T, expected: T, message?: string) => void = untyped.assertLessOrEqual;
export const assertGreater: <T>(actual: T, expected: T, message?: string) => void = untyped.assertGreater;
export const assertGreaterOrEqual: <T>(actual: T, expected: T, message?: string) => void = untyped.assertGreaterOrEqual;
export const assertExists: <T>(actual: T, message?: string) => asserts actual is NonNullable<T> = untyped.assertExists;
export const assertMatch: (actual: string, expected: RegExp, message?: string) => void = untyped.assertMatch;
export const assertStringIncludes: (actual: string, expected: string, message?: string) => void =
  untyped.assertStringIncludes;
export const assertThrows: <E extends Error = Error>(
  fn: () => unknown,
  errorClass?: Class<E>,
  messageIncludes?: string,
) => E = untyped.assertThrows;
export const assertRejects: <E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass?: Class<E>,
  messageIncludes?: string,
) => Promise<E> = untyped.assertRejects;
