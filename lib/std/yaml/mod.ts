/** Types for `@std/yaml`, whose code comes from npm where the JSR registry cannot be reached (see CONTRIBUTING). */
// deno-lint-ignore-file no-explicit-any
import * as std from "deno-std/yaml";

const untyped = std as any;

/** Parses one YAML document (the `default` schema of js-yaml 3). Throws `SyntaxError` with line and column. */
export const parse: (content: string) => unknown = untyped.parse;
/** Writes a value as YAML. */
export const stringify: (
  data: unknown,
  options?: { lineWidth?: number; sortKeys?: boolean; flowLevel?: number; indent?: number; useAnchors?: boolean },
) => string = untyped.stringify;
