/**
 * Adds `--name=value` to the options in an environment variable, unless it has
 * one of that name already. TensorFlow and XLA read them when they are loaded.
 */
export function addFlag(variable: "XLA_FLAGS" | "TF_XLA_FLAGS", name: string, value: string): void {
  const flags = Deno.env.get(variable) ?? "";
  if (!flags.includes(`--${name}=`)) Deno.env.set(variable, `${flags} --${name}=${value}`.trim());
}

/** Sets an environment variable that the person has not set. */
export function setDefault(variable: string, value: string): void {
  if (Deno.env.get(variable) === undefined) Deno.env.set(variable, value);
}

/** How XLA compiles for processors here, besides its own defaults. */
export const xlaOptions: Readonly<Record<string, string>> = {
  // Its other order of operations, for more of them at once, makes training steps of small models slower by a seventh.
  xla_cpu_enable_concurrency_optimized_scheduler: "false",
  // By default half of what AVX-512 has; matrix products use all of it anyway. Where there is less, it does nothing.
  xla_cpu_prefer_vector_width: "512",
};
