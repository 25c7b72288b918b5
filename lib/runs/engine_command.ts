import { dirname, join } from "node:path";
import Table from "cli-table3";
import { nearest, Problem } from "../core/problem.ts";
import { compiledFolder } from "../engine/compiled.ts";
import { cpu, describe, nvidiaGpus } from "../engine/device.ts";
import { alteredFiles, bestFlavour, install, megabytes, uninstall } from "../engine/install.ts";
import { cacheFolder, type Library, locate } from "../engine/locate.ts";
import { openEngine } from "../engine/mod.ts";
import { openNative } from "../engine/native.ts";
import { type Flavour, type Release, releaseFor } from "../engine/releases.ts";

const HELP = `deno task engine             what is there, on which CPU or GPU, and what --engine auto would choose
deno task engine install     fetch libtensorflow into the cache folder, or check the one that is there
                             (--flavour cpu|gpu; default: gpu where an NVIDIA driver answers)
deno task engine remove      remove it from the cache folder, and what it compiled

A run installs it by itself when it is missing. libtensorflow comes in a pinned Python wheel, through your own
pip, and is kept in $XDG_CACHE_HOME/nfm or ~/.cache/nfm. NFM_LIBTENSORFLOW=<folder or file> uses another copy.
Without it the embedded engine (WebAssembly) does the same work, slower. It compiles training steps, sampling and
decoding, some seconds each, on a GPU more, and on a CPU keeps what it compiled in that folder too;
NFM_COMPILED=<folder> keeps it there, NFM_COMPILED=none nowhere.`;

const commands = { status, install: installCommand, remove };

/**
 * `deno task engine [status | install [--flavour cpu|gpu] | remove] [--help]`: shows, installs or removes the
 * native engine. Prints to stdout.
 *
 * @throws {Problem} for a word that it does not know, and for an installation that fails.
 */
export async function engineCommand(args: string[]): Promise<void> {
  if (args.includes("--help") || args.includes("-h")) return console.log(HELP);
  const [word = "status", ...rest] = args;
  if (!Object.hasOwn(commands, word)) {
    const guess = nearest(word, Object.keys(commands));
    throw new Problem(
      `Cannot do engine ${word}: expected ${Object.keys(commands).join(", ")}` +
        (guess ? `; did you mean ${guess}?` : "; see deno task engine --help"),
    );
  }
  await commands[word as keyof typeof commands](rest);
}

async function status(args: string[]): Promise<void> {
  refuse(args, "status");
  const library = await locate();
  const native = library && await tryNative(library);
  const wasm = await openEngine("wasm");
  const table = new Table({ head: ["engine", "version", "device", "size", "at"], style: { head: [], border: [] } });
  table.push(
    await nativeRow(library, native),
    ["wasm", wasm.version, wasm.device, "–", "embedded, always there"],
  );
  console.log(table.toString());
  console.log(`CPU: ${describe(cpu())}`);
  const gpus = await nvidiaGpus();
  console.log(
    gpus.length > 0 ? gpus.map((gpu) => `GPU: ${describe(gpu)}`).join("\n") : "GPU: no NVIDIA driver answers",
  );
  console.log(`--engine auto: ${await choiceOf(library, native)}`);
}

async function installCommand(args: string[]): Promise<void> {
  const flavour = flavourOf(args);
  const library = await install(flavour ? { flavour } : {});
  const altered = await alteredFiles(dirname(library.folder));
  if (altered.length > 0) {
    throw new Problem(
      `Cannot trust ${library.folder}: ${altered.join(", ")} changed since the installation; ` +
        "run deno task engine remove, then install",
      { exitCode: 74 },
    );
  }
  const native = await tryNative(library);
  if (native instanceof Error) throw new Problem(`Cannot load ${library.cc}: ${native.message}`, { exitCode: 74 });
  console.log(`${native.version} in ${library.folder}: its digests are right, and it runs on ${native.device}`);
}

async function remove(args: string[]): Promise<void> {
  refuse(args, "remove");
  const cache = cacheFolder();
  const removed = await uninstall(cache);
  await Deno.remove(join(cache, compiledFolder), { recursive: true }).catch(() => {});
  if (removed.length === 0) console.log(`There is no libtensorflow in ${cache}`);
  for (const { name, bytes } of removed) console.log(`Removed ${name} (${megabytes(bytes)}) from ${cache}`);
}

/** Loads the library to see whether it works, rather than believing its name. */
async function tryNative(library: Library): Promise<Loaded | Error> {
  try {
    const { version, gpu } = (await openNative(library)).tensorFlow;
    const gpus = gpu === undefined ? [] : await nvidiaGpus();
    const device = gpus.length > 0 ? gpus.map(describe).join("; ") : describe(cpu());
    return { version: `libtensorflow ${version} (${library.flavour})`, device };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

interface Loaded {
  readonly version: string;
  readonly device: string;
}

async function nativeRow(library: Library | undefined, native: Loaded | Error | undefined): Promise<string[]> {
  if (!library) return ["native", "–", "–", "–", "not installed"];
  const files = await Promise.all([Deno.stat(library.framework), Deno.stat(library.cc)]);
  const size = megabytes(files.reduce((sum, file) => sum + file.size, 0));
  const { version, device } = native && !(native instanceof Error)
    ? native
    : { version: `libtensorflow ${library.version} (${library.flavour})`, device: "cannot be loaded" };
  return ["native", version, device, size, library.folder];
}

async function choiceOf(library: Library | undefined, native: Loaded | Error | undefined): Promise<string> {
  if (library && native instanceof Error) return `wasm, because ${library.cc} cannot be loaded: ${native.message}`;
  if (library) return `native, found through ${library.origin === "cache" ? "the cache folder" : library.origin}`;
  const release = await releaseHere();
  if (release instanceof Error) return `wasm, because there is no other: ${release.message}`;
  return `native, after fetching ${megabytes(release.downloadBytes)} into ${cacheFolder()}, where ` +
    `${megabytes(release.unpackedBytes)} stay; wasm where that fails`;
}

async function releaseHere(): Promise<Release | Error> {
  try {
    return releaseFor(await bestFlavour());
  } catch (error) {
    return error as Error;
  }
}

function flavourOf(args: string[]): Flavour | undefined {
  if (args.length === 0) return undefined;
  const words = args.flatMap((arg) => arg.split("="));
  const [option, flavour, ...more] = words;
  if (option === "--flavour" && (flavour === "cpu" || flavour === "gpu") && more.length === 0) return flavour;
  throw new Problem(`Cannot do engine install ${args.join(" ")}: expected --flavour cpu or --flavour gpu, or nothing`);
}

function refuse(args: string[], command: string): void {
  if (args.length > 0) throw new Problem(`Cannot do engine ${command} ${args.join(" ")}: it takes nothing more`);
}
