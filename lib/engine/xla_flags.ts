/** Gives XLA an option, `--name=value`, unless the environment gives it one of that name. To be called before TensorFlow is loaded. */
export function addXlaFlag(name: string, value: string): void {
  const flags = Deno.env.get("XLA_FLAGS") ?? "";
  if (!flags.includes(name)) Deno.env.set("XLA_FLAGS", `${flags} --${name}=${value}`.trim());
}
