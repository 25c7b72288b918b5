/** Types for `@std/cli`, whose code comes from npm where the JSR registry cannot be reached (see CONTRIBUTING). */
// deno-lint-ignore-file no-explicit-any
import * as std from "deno-std/parse-args";

/** What `parseArgs` may be told. */
export interface ParseOptions {
  readonly boolean?: readonly string[];
  readonly string?: readonly string[];
  readonly collect?: readonly string[];
  readonly negatable?: readonly string[];
  readonly alias?: Readonly<Record<string, string>>;
  readonly default?: Readonly<Record<string, unknown>>;
  readonly stopEarly?: boolean;
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** Splits a command line into options and the words left over (`_`). */
export const parseArgs: (
  args: readonly string[],
  options?: ParseOptions,
) => { _: (string | number)[]; [option: string]: unknown } = (std as any).parseArgs;
