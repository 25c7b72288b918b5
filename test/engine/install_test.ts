import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Problem } from "../../lib/core/problem.ts";
import { alteredFiles, install, uninstall } from "../../lib/engine/install.ts";
import { cachedLibrary, locate } from "../../lib/engine/locate.ts";
import { fetchWithPip, pipReason } from "../../lib/engine/python.ts";
import { type Flavour, releaseFor } from "../../lib/engine/releases.ts";
import { copyFrom, LIBRARIES, makeRelease } from "./small_release.ts";

const NAME = "libtensorflow-2.21.0-cpu";
const quiet = { quiet: true };

/** A folder for one test, gone afterwards, with a cache that does not exist yet. */
async function inFolder(body: (folder: string, cache: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "nfm-install-" });
  try {
    await body(folder, join(folder, "cache", "nfm"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
}

Deno.test("install: unpacks the libraries alone, locate finds them, a second install fetches nothing", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const log = join(folder, "log");
    const said: string[] = [];
    const options = {
      ...quiet,
      cache,
      release,
      fetchWheel: copyFrom(wheel, log),
      say: (line: string) => void said.push(line),
    };
    const library = await install(options);
    assertEquals(await namesIn(join(cache, NAME)), ["complete.json", "tensorflow"]);
    assertEquals(await namesIn(library.folder), LIBRARIES.map((path) => path.split("/")[1]!).sort());
    assertEquals(await namesIn(cache), [`.${NAME}.lock`, NAME]);
    assertEquals(await locate({ explicit: undefined, npm: folder, cache }), library);
    assertEquals(await install(options), library);
    assertEquals(await Deno.readTextFile(log), "fetched\n");
    assertEquals(said.length, 1);
    assertEquals(await alteredFiles(join(cache, NAME)), []);
  }));

Deno.test("alteredFiles: names a library in which one byte changed", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const { cc } = await install({ ...quiet, cache, release, fetchWheel: copyFrom(wheel, join(folder, "log")) });
    const bytes = await Deno.readFile(cc);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(cc, bytes);
    assertEquals(await alteredFiles(join(cache, NAME)), [LIBRARIES[1]!]);
  }));

Deno.test("install: a wheel with another hash is refused and nothing is left", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const bytes = await Deno.readFile(wheel);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(wheel, bytes);
    const fetchWheel = copyFrom(wheel, join(folder, "log"));
    const problem = await assertRejects(() => install({ ...quiet, cache, release, fetchWheel }), Problem);
    assertMatch(problem.message, /has SHA-256 [0-9a-f]{12}…, expected the pinned [0-9a-f]{12}…/);
    assertEquals(await namesIn(cache), [`.${NAME}.lock`]);
  }));

Deno.test("install: a wheel that lacks a library is refused and nothing is left", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const wheels = release.wheels.map((pinned) => ({ ...pinned, members: [...pinned.members, "tensorflow/other.so"] }));
    const fetchWheel = copyFrom(wheel, join(folder, "log"));
    const broken = { ...release, wheels };
    const problem = await assertRejects(() => install({ ...quiet, cache, release: broken, fetchWheel }), Problem);
    assertMatch(problem.message, /it holds no tensorflow\/other\.so/);
    assertEquals(await namesIn(cache), [`.${NAME}.lock`]);
  }));

Deno.test("install: a folder that is not whole is replaced", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const options = { ...quiet, cache, release, fetchWheel: copyFrom(wheel, join(folder, "log")) };
    const { cc } = await install(options);
    await Deno.truncate(cc, 1000);
    assertEquals(await cachedLibrary(join(cache, NAME)), undefined);
    assertEquals((await install(options)).cc, cc);
    assertEquals(await alteredFiles(join(cache, NAME)), []);
  }));

Deno.test("install: four runs that race into an empty cache fetch once and agree", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder, 4 << 20);
    const log = join(folder, "log");
    const runs = await Promise.all([1, 2, 3, 4].map(() => installing([cache, wheel, log], release).output()));
    const outputs = runs.map((run) => new TextDecoder().decode(run.stdout).trim());
    assertEquals(runs.map((run) => run.code), [0, 0, 0, 0]);
    assertEquals(outputs, Array(4).fill(join(cache, NAME, LIBRARIES[1]!)));
    assertEquals(await Deno.readTextFile(log), "fetched\n");
    assertEquals(await namesIn(cache), [`.${NAME}.lock`, NAME]);
  }));

Deno.test("install: the second of two says that it waits", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const log = join(folder, "log");
    const copy = copyFrom(wheel, log);
    const started = Promise.withResolvers<void>(), goOn = Promise.withResolvers<void>();
    const first = install({
      ...quiet,
      cache,
      release,
      async fetchWheel(...args) {
        started.resolve();
        await goOn.promise;
        await copy(...args);
      },
    });
    await started.promise;
    const second = install({
      ...quiet,
      cache,
      release,
      fetchWheel: copy,
      say(line) {
        assertMatch(line, /^Another run is installing libtensorflow 2\.21\.0 \(cpu\); waiting for it$/);
        goOn.resolve();
      },
    });
    assertEquals(await first, await second);
    assertEquals(await Deno.readTextFile(log), "fetched\n");
  }));

Deno.test("install: killed at any moment it leaves no half installation, and the next run succeeds", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder, 12 << 20);
    const log = join(folder, "log");
    const seen = new Set<string>();
    // Each kill comes when the run has got one step further, watched from outside.
    const steps = [
      (names: string[]) => names.some((name) => name.includes(".partial-")),
      (names: string[]) => names.some((name) => name.endsWith("small.whl")),
      (names: string[]) => names.some((name) => name.endsWith(LIBRARIES[0]!.split("/")[1]!)),
      (names: string[]) => names.some((name) => name.endsWith(LIBRARIES[1]!.split("/")[1]!)),
    ];
    for (const [index, reached] of steps.entries()) {
      const run = installing([cache, wheel, log], release).spawn();
      let ended = false;
      const status = run.status.finally(() => ended = true);
      while (!ended && !reached(await below(cache))) await new Promise((resolve) => setTimeout(resolve, 2));
      if (!ended) run.kill("SIGKILL");
      const { signal } = await status;
      await Promise.all([run.stdout.cancel(), run.stderr.cancel()]);
      const library = await cachedLibrary(join(cache, NAME));
      if (library) assertEquals(await alteredFiles(join(cache, NAME)), []);
      if (signal === "SIGKILL") seen.add(`killed at step ${index}`);
      if (library) await uninstall(cache);
    }
    assert(seen.size >= 2, `only ${[...seen].join(", ")}`);
    const library = await install({ ...quiet, cache, release, fetchWheel: copyFrom(wheel, log) });
    assertEquals(await alteredFiles(join(cache, NAME)), []);
    assertEquals((await locate({ explicit: undefined, npm: folder, cache }))?.cc, library.cc);
    assertEquals(await namesIn(cache), [`.${NAME}.lock`, NAME]);
  }));

Deno.test("install: too little room is found before anything is fetched", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    const log = join(folder, "log");
    const huge = { ...release, unpackedBytes: 1e18 };
    const options = { ...quiet, cache, release: huge, fetchWheel: copyFrom(wheel, log) };
    const problem = await assertRejects(() => install(options), Problem);
    assertMatch(problem.message, /has \d+ MB free, expected \d+ MB; free some space/);
    assertEquals(problem.exitCode, 74);
    await assertRejects(() => Deno.stat(log), Deno.errors.NotFound);
  }));

Deno.test("install: a disk that fills up on the way, or that is read-only, is one sentence and nothing left", async (t) => {
  if (!await mayMount()) return void await t.step({ name: "mount", ignore: true, fn: () => {} });
  await inFolder(async (folder) => {
    const { release, wheel } = await makeRelease(folder);
    const disk = join(folder, "disk");
    await Deno.mkdir(disk);
    await mount("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk);
    try {
      const cache = join(disk, "nfm");
      const small = { ...release, downloadBytes: 1000, unpackedBytes: 1000 };
      const options = { ...quiet, cache, release: small, fetchWheel: copyFrom(wheel, join(folder, "log")) };
      const full = await assertRejects(() => install(options), Problem);
      assertMatch(full.message, /the disk is full/);
      assertEquals(await namesIn(cache), [`.${NAME}.lock`]);
      await mount("mount", "-o", "remount,ro", disk);
      const readOnly = await assertRejects(() => install(options), Problem);
      assertMatch(readOnly.message, /may not be written to; set XDG_CACHE_HOME/);
    } finally {
      await mount("umount", disk);
    }
  });
});

Deno.test("install: without python3 it says what is missing", () =>
  inFolder(async (folder, cache) => {
    const { release } = await makeRelease(folder);
    const path = Deno.env.get("PATH")!;
    Deno.env.set("PATH", folder);
    try {
      const problem = await assertRejects(() => install({ ...quiet, cache, release }), Problem);
      assertEquals(
        problem.message,
        "Cannot install libtensorflow: python3 is not installed, and its pip is what fetches libtensorflow",
      );
    } finally {
      Deno.env.set("PATH", path);
    }
    assertEquals(await namesIn(cache), [`.${NAME}.lock`]);
  }));

Deno.test("fetchWithPip: pip fetches the pinned wheel, refuses another hash, and says when it has no such wheel", () =>
  inFolder(async (folder, cache) => {
    const { release } = await makeRelease(folder);
    const { PIP_NO_INDEX, PIP_FIND_LINKS } = Deno.env.toObject();
    Deno.env.set("PIP_NO_INDEX", "1");
    Deno.env.set("PIP_FIND_LINKS", folder);
    try {
      const library = await install({ ...quiet, cache, release, fetchWheel: fetchWithPip });
      assertEquals((await Deno.stat(library.cc)).size, 1 << 20);
      await uninstall(cache);
      const repinned = (change: object) => {
        const wheels = release.wheels.map((wheel) => ({ ...wheel, ...change }));
        return install({ ...quiet, cache, release: { ...release, wheels }, fetchWheel: fetchWithPip });
      };
      const hash = await assertRejects(() => repinned({ sha256: "0".repeat(64) }), Problem);
      assertMatch(hash.message, /does not have the pinned hash 000000000000…$/);
      const none = await assertRejects(() => repinned({ version: "9.9.9" }), Problem);
      assertMatch(none.message, /^Cannot fetch nfm-small 9\.9\.9: the package index that pip uses does not have it/);
      assertEquals(await namesIn(cache), [`.${NAME}.lock`]);
    } finally {
      restore("PIP_NO_INDEX", PIP_NO_INDEX);
      restore("PIP_FIND_LINKS", PIP_FIND_LINKS);
    }
  }));

Deno.test("pipReason: what pip writes becomes a reason", () => {
  const wheel = releaseFor("cpu", "linux", "x86_64").wheels[0]!;
  const unreachable = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n" +
    "ERROR: No matching distribution found for tensorflow-cpu==2.21.0";
  assertMatch(pipReason(unreachable, wheel), /cannot be reached/);
  assertMatch(pipReason("/usr/bin/python3: No module named pip", wheel), /python3 has no pip/);
  assertMatch(pipReason("ERROR: Could not install: [Errno 28] No space left on device", wheel), /disk is full/);
  assertEquals(pipReason("Traceback\nERROR: Something else\n", wheel), "ERROR: Something else");
});

Deno.test("releaseFor: every release is pinned in full; a platform without one is named", () => {
  const known: [Flavour, string, string][] = [
    ["cpu", "linux", "x86_64"],
    ["cpu", "linux", "aarch64"],
    ["cpu", "darwin", "aarch64"],
    ["gpu", "linux", "x86_64"],
  ];
  for (const [flavour, os, architecture] of known) {
    const release = releaseFor(flavour, os, architecture);
    assertEquals(release.flavour, flavour);
    for (const wheel of release.wheels) assertMatch(wheel.sha256, /^[0-9a-f]{64}$/);
    assertEquals(new Set(release.wheels.map((wheel) => wheel.sha256)).size, release.wheels.length);
  }
  let message = "";
  try {
    releaseFor("cpu", "windows", "x86_64");
  } catch (error) {
    message = (error as Problem).message;
  }
  assertMatch(message, /no Python wheel holds one for windows x86_64; point NFM_LIBTENSORFLOW/);
});

Deno.test("uninstall: removes what is there, and refuses while a run installs", () =>
  inFolder(async (folder, cache) => {
    const { release, wheel } = await makeRelease(folder);
    await install({ ...quiet, cache, release, fetchWheel: copyFrom(wheel, join(folder, "log")) });
    {
      using lock = await Deno.open(join(cache, `.${NAME}.lock`), { read: true, write: true });
      await lock.lock(true);
      const problem = await assertRejects(() => uninstall(cache), Problem);
      assertMatch(problem.message, /a run is installing it/);
    }
    const removed = await uninstall(cache);
    assertEquals(removed.map(({ name, bytes }) => [name, bytes]), [[NAME, 2 << 20]]);
    assertEquals(await uninstall(cache), []);
    assertEquals(await locate({ explicit: undefined, npm: folder, cache }), undefined);
  }));

function installing(args: [string, string, string], release: Awaited<ReturnType<typeof makeRelease>>["release"]) {
  const program = join(import.meta.dirname!, "installing.ts");
  const rest = [release.wheels[0]!.sha256, String(release.unpackedBytes / 2)];
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, ...args, ...rest],
    stdout: "piped",
    stderr: "piped",
  });
}

/** Every path below `folder`; whatever vanishes while it is read is left out. */
async function below(folder: string): Promise<string[]> {
  const paths: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      paths.push(path);
      if (entry.isDirectory) paths.push(...await below(path));
    }
  } catch {
    // not there yet, or no longer
  }
  return paths;
}

async function mayMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const folder = await Deno.makeTempDir();
  const mounted = await mount("mount", "-t", "tmpfs", "tmpfs", folder).then(() => true, () => false);
  if (mounted) await mount("umount", folder);
  await Deno.remove(folder);
  return mounted;
}

async function mount(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

function restore(name: string, value: string | undefined): void {
  if (value === undefined) Deno.env.delete(name);
  else Deno.env.set(name, value);
}
