import { assert, assertEquals } from "@std/assert";

/** A file imports only from its own folder or those to its left (design: one array, checked over the imports). */
const layers = [
  "std",
  "core",
  "engine",
  "nn",
  "data",
  "models",
  "couplings",
  "training",
  "sampling",
  "metrics",
  "recipes",
  "results",
  "reports",
  "runs",
  "cli.ts",
];
const root = new URL("../", import.meta.url);

interface Source {
  readonly path: string;
  readonly text: string;
}

async function sources(folder: string): Promise<Source[]> {
  const found: Source[] = [];
  for await (const entry of Deno.readDir(new URL(folder, root))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) found.push(...await sources(`${path}/`));
    else if (/\.tsx?$/.test(path)) found.push({ path, text: await Deno.readTextFile(new URL(path, root)) });
  }
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** What a file imports, types and dynamic imports included, without what stands in comments. */
function imports({ text }: Source): string[] {
  const code = text.split("\n").filter((line) => !/^\s*(\*|\/\/|\/\*)/.test(line)).join("\n");
  return [...code.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)"([^"]+)"/g)].map((match) => match[1]!);
}

/** Its layer: the first part of its path below lib/. */
const layerOf = (path: string) => path.replace(/^lib\//, "").split("/")[0]!;

const library = await sources("lib/");

Deno.test("every folder of lib/ has its place in the layer order", () => {
  for (const { path } of library) assert(layers.includes(layerOf(path)), `${path}: no layer "${layerOf(path)}"`);
});

Deno.test("a file imports only from its own folder or from layers to its left", () => {
  const wrong: string[] = [];
  for (const source of library) {
    for (const name of imports(source)) {
      if (!name.startsWith(".")) continue;
      const target = new URL(name, new URL(source.path, root)).href.slice(root.href.length);
      if (!target.startsWith("lib/")) continue;
      const from = layers.indexOf(layerOf(source.path)), to = layers.indexOf(layerOf(target));
      if (to > from) wrong.push(`${source.path} imports ${target}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("only lib/engine names @tensorflow", () => {
  const wrong = library.filter((source) =>
    layerOf(source.path) !== "engine" && imports(source).some((name) => name.includes("@tensorflow"))
  );
  assertEquals(wrong.map(({ path }) => path), []);
});

Deno.test("every package is named through deno.json", () => {
  const wrong = library.filter(({ path }) => !path.startsWith("lib/std/"))
    .flatMap((source) => imports(source).map((name) => `${source.path}: ${name}`))
    .filter((line) => /: (npm|jsr|https?):/.test(line));
  assertEquals(wrong, []);
});

Deno.test("no file is longer than 400 lines, none is called utils, none inherits", async () => {
  const all = [...library, ...await sources("test/")];
  const lines = ({ text }: Source) => text.split("\n").length;
  assertEquals(all.filter((source) => lines(source) > 400).map(({ path }) => path), []);
  assertEquals(all.filter(({ path }) => /utils?\.ts$/.test(path)).map(({ path }) => path), []);
  const inherits = ({ text }: Source) => /^\s*(export )?(abstract )?class \w+ extends (?!Error\b)/m.test(text);
  assertEquals(all.filter(inherits).map(({ path }) => path), []);
});

Deno.test("every member of a registry folder is exported from its registry", async () => {
  const registries: Record<string, string> = { "lib/couplings/": "mod.ts", "lib/data/": "mod.ts" };
  for (const [folder, registry] of Object.entries(registries)) {
    const members = library.filter(({ path, text }) =>
      path.startsWith(folder) && /^export const \w+: \w+Kind\b|^\} satisfies \w+Kind\b/m.test(text)
    );
    assert(members.length > 0, `${folder} has no member`);
    const exported = await Deno.readTextFile(new URL(folder + registry, root));
    for (const { path } of members) {
      assert(exported.includes(path.slice(folder.length)), `${path} is not in ${registry}`);
    }
  }
});

Deno.test("the project names no registry host and no path of a machine", async () => {
  const files = [...library, ...await sources("test/")].filter(({ path }) => path !== "test/architecture_test.ts");
  for (const name of ["README.md", "CONTRIBUTING.md", "deno.json"]) {
    files.push({ path: name, text: await Deno.readTextFile(new URL(name, root)) });
  }
  const hosts = new RegExp(["registry\\.npmjs", "pypi\\.org", "pythonhosted", "/work/", "/root/", "/tmp/w/"].join("|"));
  assertEquals(files.filter(({ text }) => hosts.test(text)).map(({ path }) => path), []);
});
