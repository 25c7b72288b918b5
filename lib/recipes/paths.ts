import * as z from "zod";

/** A path inside the project, as recipes write it: relative to the root, with `/`, never leaving it. */
export const projectPath = z.string().min(1).max(200).refine(
  (path) => !path.startsWith("/") && !/^[A-Za-z]:|\\|\0/.test(path) && !path.split("/").includes(".."),
  { error: "expected a path inside the project, relative to its root, without .." },
);
