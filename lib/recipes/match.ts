/**
 * The paths that a short form may stand for, the closest reading only: the
 * path itself; else the paths that end with it (`model.width`); else those that
 * contain its steps in order and end with its last (`student.width` is
 * `student.model.width`).
 */
export function matchPaths(
  short: readonly string[],
  paths: readonly (readonly string[])[],
): readonly (readonly string[])[] {
  const candidates = paths.filter((path) => path.at(-1) === short.at(-1));
  const exact = candidates.filter((path) => path.join(".") === short.join("."));
  if (exact.length > 0) return exact;
  const suffix = candidates.filter((path) => `.${path.join(".")}`.endsWith(`.${short.join(".")}`));
  if (suffix.length > 0) return suffix;
  return candidates.filter((path) => contains(path, short));
}

function contains(path: readonly string[], steps: readonly string[]): boolean {
  let found = 0;
  for (const step of path) if (step === steps[found]) found++;
  return found === steps.length;
}
