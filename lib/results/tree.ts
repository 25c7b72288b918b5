import { isAbsolute, join, posix } from "node:path";
import { exists, readBytes } from "../core/files.ts";
import { git, gitBytes } from "../core/git.ts";
import { attempt, Problem } from "../core/problem.ts";
import { type Figures, parseFigures } from "./figures.ts";
import { parseProvenance, type Provenance } from "./provenance.ts";

/** Where results are read from. */
export interface Source {
  /** As the person at the terminal calls it. */
  readonly name: string;
  /** The commit, where it is a git revision. */
  readonly commit?: string;
  /** Every file below it, `/` between folders, sorted. */
  readonly files: readonly string[];
  /** @throws {Problem} when it cannot be read */
  read(file: string): Promise<Uint8Array<ArrayBuffer>>;
  /** A file's name in messages. */
  nameOf(file: string): string;
}

/** What one run left: a folder with `figures.json`. */
export interface Result {
  /** Its folder below the results, for example `table4/desk`; `.` where the source is that folder itself. */
  readonly place: string;
  /** Its folder as a person would name it: `results/table4/desk`, `HEAD~1:results/table4/desk`. */
  readonly path: string;
  readonly figures: Figures;
  readonly provenance?: Provenance;
  /** The text of `resolved.yaml`. */
  readonly resolved?: string;
  /** The names of its files: tables, pictures. */
  readonly files: readonly string[];
  /** What is wrong beside the figures, a sentence each: provenance that cannot be read. */
  readonly faults: readonly string[];
}

const figuresFile = "figures.json";

/** The results of a project's working tree. `root` is its folder. */
export async function workingTree(root = "."): Promise<Source> {
  return { ...await folderSource(join(root, "results"), "results"), name: "the working tree" };
}

/** The results as a git revision has them: a commit, branch, tag, `HEAD~2`. */
export async function revision(text: string, root = "."): Promise<Source> {
  const commit = await commitOf(text, root);
  if (commit === undefined) {
    throw new Problem(
      `"${text}" is neither a commit of a git repository here nor a folder: expected a revision or a folder with results`,
    );
  }
  const listed = await git(["ls-tree", "-r", "-z", "--name-only", commit, "results/"], root) ?? "";
  const files = listed.split("\0").filter((path) => path !== "").map((path) => path.slice("results/".length));
  const nameOf = (file: string) => posix.join(`${text}:results`, file);
  return {
    name: text,
    commit,
    files,
    nameOf,
    async read(file) {
      // With ./ the path is taken from `root`, which need not be the repository's own root.
      const bytes = await gitBytes(["show", `${commit}:./results/${file}`], root);
      if (bytes === undefined) throw new Problem(`Cannot read ${nameOf(file)}: git does not give it`);
      return bytes;
    },
  };
}

/** The results in a folder: that of one run, a tree of such folders, or a project with `results/`. */
export async function folder(path: string): Promise<Source> {
  const home = await exists(join(path, figuresFile)) || !await exists(join(path, "results"))
    ? path
    : join(path, "results");
  const source = await folderSource(home, home);
  if (listResults(source).length > 0) return { ...source, name: path };
  throw new Problem(`There are no results in ${path}: expected ${figuresFile} in it or in its folders`);
}

/**
 * What the person at the terminal means by a word: a folder or a revision.
 *
 * @throws {Problem} when it is neither, or both.
 */
export async function openSource(text: string, root = "."): Promise<Source> {
  const path = isAbsolute(text) ? text : join(root, text);
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, () => false);
  if (!isFolder) return await revision(text, root);
  if (!/[/\\]|^\.\.?$/.test(text) && await commitOf(text, root) !== undefined) {
    throw new Problem(`"${text}" is a folder and a git revision: write ./${text} for the folder, or the commit's hash`);
  }
  return await folder(path);
}

/** Sorts places as a reader would: table2 before table10. */
export const byPlace = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

/** The places of the results in a source, sorted. */
export function listResults({ files }: Source): readonly string[] {
  return files.filter((file) => file === figuresFile || file.endsWith(`/${figuresFile}`))
    .map((file) => file.slice(0, -figuresFile.length - 1) || ".")
    .sort(byPlace);
}

/**
 * Reads a result. Provenance that is damaged is a fault of the result; damaged
 * figures are none.
 *
 * @throws {Problem} when there is no `figures.json`, or it is damaged.
 */
export async function readResult(source: Source, place: string): Promise<Result> {
  const home = place === "." ? "" : `${place}/`;
  const path = source.nameOf(place);
  const within = source.files.filter((file) => file.startsWith(home)).map((file) => file.slice(home.length));
  const files = within.filter((file) => !file.includes("/"));
  const text = async (file: string) => decode(source.nameOf(home + file), await source.read(home + file));
  const figures = parseFigures(`${path}/${figuresFile}`, await text(figuresFile));
  const faults: string[] = [];
  const beside = async <T>(file: string, make: (text: string) => T): Promise<T | undefined> => {
    if (!files.includes(file)) return undefined;
    const made = await attempt(async () => make(await text(file)));
    if (!(made instanceof Problem)) return made;
    faults.push(made.message);
  };
  const provenance = await beside("provenance.json", (text) => parseProvenance(`${path}/provenance.json`, text));
  const resolved = await beside("resolved.yaml", (text) => text);
  return {
    place,
    path,
    figures,
    ...(provenance && { provenance }),
    ...(resolved !== undefined && { resolved }),
    files,
    faults,
  };
}

/** Every result of a source that can be read, and a sentence for each that cannot: one bad file does not hide the others. */
export async function readResults(source: Source): Promise<{ results: readonly Result[]; faults: readonly string[] }> {
  const results: Result[] = [];
  const faults: string[] = [];
  for (const place of listResults(source)) {
    const result = await attempt(() => readResult(source, place));
    if (result instanceof Problem) faults.push(result.message);
    else {
      results.push(result);
      faults.push(...result.faults);
    }
  }
  return { results, faults };
}

async function folderSource(home: string, shown: string): Promise<Source> {
  return {
    name: shown,
    files: await filesBelow(home),
    read: (file) => readBytes(join(home, file)),
    nameOf: (file) => join(shown, file),
  };
}

async function filesBelow(home: string, below = ""): Promise<readonly string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(join(home, below))) {
      const path = below === "" ? name : `${below}/${name}`;
      if (isDirectory) files.push(...await filesBelow(home, path));
      else files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

async function commitOf(text: string, root: string): Promise<string | undefined> {
  if (text === "" || text.startsWith("-")) return undefined; // never an option to git
  return (await git(["rev-parse", "--verify", "--quiet", `${text}^{commit}`], root))?.trim();
}

function decode(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Problem(`Cannot read ${name}: it is not UTF-8 text`, { cause: error });
  }
}
