import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { dirname, join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import { cudaLibraries } from "../../lib/engine/cuda.ts";
import { describe, parseGpus } from "../../lib/engine/device.ts";
import { cacheFolder, locate, MARKER } from "../../lib/engine/locate.ts";
import { openEngine } from "../../lib/engine/open.ts";
import { LIBRARIES } from "./small_release.ts";

const NAMES = LIBRARIES.map((path) => path.split("/")[1]!);

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nfm-locate-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function put(path: string, text = "library"): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, text);
}

/** An installed folder of the cache, as `install` leaves it. */
async function putInstalled(folder: string, version: string, flavour: string): Promise<void> {
  const name = `libtensorflow-${version}-${flavour}`;
  const files: Record<string, unknown> = {};
  for (const path of LIBRARIES) {
    await put(join(folder, name, path));
    files[path] = { bytes: 7, sha256: "a".repeat(64) };
  }
  await put(join(folder, name, MARKER), JSON.stringify({ version, flavour, wheels: {}, files }));
}

Deno.test("locate: explicit path, then the npm package's copy, then the cache", () =>
  inFolder(async (folder) => {
    const [explicit, npm, cache] = ["explicit", "npm", "cache"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const places = { explicit: undefined, npm, cache };
    assertEquals(await locate(places), undefined);
    await putInstalled(cache, "2.21.0", "cpu");
    const cached = await locate(places);
    assertEquals(cached?.origin, "cache");
    assertEquals(cached?.version, "2.21.0");
    assertEquals(cached?.digests[NAMES[1]!], "a".repeat(64));
    for (const name of NAMES) await put(join(npm, name));
    assertEquals((await locate(places))?.origin, "npm package");
    for (const name of NAMES) await put(join(explicit, name));
    assertEquals((await locate({ ...places, explicit }))?.origin, "NFM_LIBTENSORFLOW");
  }));

Deno.test("locate: an explicit path may be the folder, the folder above it, or the library itself", () =>
  inFolder(async (folder) => {
    for (const path of LIBRARIES) await put(join(folder, path));
    const expected = [join(folder, LIBRARIES[0]!), join(folder, LIBRARIES[1]!)];
    for (const explicit of [folder, join(folder, "tensorflow"), join(folder, LIBRARIES[1]!)]) {
      const library = await locate({ explicit });
      assertEquals([library?.framework, library?.cc], expected);
      assertEquals(library?.flavour, "cpu");
    }
    await put(join(folder, "nvidia", "cublas", "lib", "libcublas.so.12"));
    assertEquals((await locate({ explicit: folder }))?.flavour, "gpu");
  }));

Deno.test("locate: an explicit path without a library is a problem that names it", () =>
  inFolder(async (folder) => {
    const problem = await assertRejects(() => locate({ explicit: folder }), Problem);
    assertEquals(problem.message.startsWith(`NFM_LIBTENSORFLOW is ${folder}, where there is no libtensorflow`), true);
  }));

Deno.test("locate: reads the version from the name that a link leads to", () =>
  inFolder(async (folder) => {
    const [framework, cc] = Deno.build.os === "darwin"
      ? ["libtensorflow_framework.2.9.1.dylib", "libtensorflow.2.9.1.dylib"]
      : ["libtensorflow_framework.so.2.9.1", "libtensorflow.so.2.9.1"];
    for (const name of [framework, cc]) {
      await put(join(folder, name));
      const short = name.replace("2.9.1", "2").replace(/\.so\.2$/, ".so.2");
      await Deno.symlink(name, join(folder, short));
    }
    const library = await locate({ explicit: undefined, npm: folder });
    assertEquals(library?.version, "2.9.1");
    assertMatch(library!.cc, /libtensorflow\.(so\.2|2\.dylib)$/);
  }));

Deno.test("locate: passes over an installation without its marker or with a file of another size", () =>
  inFolder(async (cache) => {
    const places = { explicit: undefined, npm: join(cache, "none"), cache };
    await putInstalled(cache, "2.20.0", "cpu");
    await putInstalled(cache, "2.21.0", "cpu");
    assertEquals((await locate(places))?.version, "2.21.0");
    await Deno.truncate(join(cache, "libtensorflow-2.21.0-cpu", LIBRARIES[1]!), 3);
    assertEquals((await locate(places))?.version, "2.20.0");
    await Deno.remove(join(cache, "libtensorflow-2.20.0-cpu", MARKER));
    assertEquals(await locate(places), undefined);
    await put(join(cache, "libtensorflow-2.20.0-cpu", MARKER), "{ not JSON");
    assertEquals(await locate(places), undefined);
  }));

Deno.test("cacheFolder: XDG_CACHE_HOME when it is absolute, else ~/.cache", () => {
  const { XDG_CACHE_HOME, HOME } = Deno.env.toObject();
  try {
    Deno.env.set("HOME", "/home/someone");
    Deno.env.set("XDG_CACHE_HOME", "/elsewhere");
    assertEquals(cacheFolder(), "/elsewhere/nfm");
    Deno.env.set("XDG_CACHE_HOME", "relative");
    assertEquals(cacheFolder(), "/home/someone/.cache/nfm");
  } finally {
    if (XDG_CACHE_HOME === undefined) Deno.env.delete("XDG_CACHE_HOME");
    else Deno.env.set("XDG_CACHE_HOME", XDG_CACHE_HOME);
    if (HOME !== undefined) Deno.env.set("HOME", HOME);
  }
});

Deno.test("parseGpus: one GPU a line, with commas in a name and a memory that is not told", () => {
  const gpus = parseGpus("NVIDIA H100 80GB HBM3, 81559, 550.54.15\nSome, Name, [N/A], 560.1\n");
  assertEquals(gpus.map((gpu) => gpu.name), ["NVIDIA H100 80GB HBM3", "Some, Name"]);
  assertEquals(gpus.map(describe), [
    "NVIDIA H100 80GB HBM3, 80 GiB, driver 550.54.15",
    "Some, Name, driver 560.1",
  ]);
});

Deno.test("cudaLibraries: each after those that it needs, archives left out", () =>
  inFolder(async (nvidia) => {
    const parts = {
      cublas: ["libcublas.so.12", "libcublasLt.so.12"],
      cuda_runtime: ["libcudart.so.12", "libcudart_static.a"],
      cudnn: ["libcudnn.so.9", "libcudnn_ops.so.9", "libcudnn_adv.so.9"],
      cusolver: ["libcusolver.so.11"],
      nvjitlink: ["libnvJitLink.so.12"],
    };
    for (const [part, names] of Object.entries(parts)) {
      for (const name of names) await put(join(nvidia, part, "lib", name));
    }
    const order = (await cudaLibraries(nvidia)).map((path) => path.split("/").at(-1)!.split(".")[0]);
    assertEquals(order, [
      "libcudart",
      "libnvJitLink",
      "libcublasLt",
      "libcublas",
      "libcusolver",
      "libcudnn_ops",
      "libcudnn",
      "libcudnn_adv",
    ]);
  }));

Deno.test("openEngine() takes no other engine for the one that NFM_LIBTENSORFLOW names and that is not there", async () => {
  const before = Deno.env.get("NFM_LIBTENSORFLOW");
  Deno.env.set("NFM_LIBTENSORFLOW", "/nowhere");
  try {
    await assertRejects(() => openEngine("auto"), Problem, "NFM_LIBTENSORFLOW is /nowhere");
  } finally {
    if (before === undefined) Deno.env.delete("NFM_LIBTENSORFLOW");
    else Deno.env.set("NFM_LIBTENSORFLOW", before);
  }
});
