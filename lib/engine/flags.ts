/**
 * Adds `--name=value` to the options in an environment variable, unless it has
 * one of that name already. TensorFlow and XLA read them when they are loaded.
 */
export function addFlag(variable: "XLA_FLAGS" | "TF_XLA_FLAGS", name: string, value: string): void {
  const flags = Deno.env.get(variable) ?? "";
  if (!flags.includes(`--${name}=`)) Deno.env.set(variable, `${flags} --${name}=${value}`.trim());
}
