import { Problem } from "../core/problem.ts";
import { cpu, describe, nvidiaGpus } from "./device.ts";
import { install } from "./install.ts";
import { type Library, locate } from "./locate.ts";
import { openNative } from "./native.ts";
import { tf } from "./tf.ts";
import type { Engine, EngineChoice } from "./types.ts";
import "@tensorflow/tfjs-backend-wasm";

/**
 * Opens an engine and makes it the one that tensors live on. `auto` takes the
 * native one, installing it on first use, and the embedded one where that
 * cannot be had; `reason` then says why in one line. Throws a `Problem` when
 * `native` was asked for by name and cannot be had, or `NFM_LIBTENSORFLOW` names
 * a place that holds none.
 */
export async function openEngine(choice: EngineChoice = "auto"): Promise<Engine> {
  if (choice === "wasm") return await openWasm("asked for");
  const named = Deno.env.get("NFM_LIBTENSORFLOW") ? await locate() : undefined;
  try {
    const library = named ?? await locate() ?? await install();
    return await openLibrary(library, choice === "native" ? "asked for" : "libtensorflow is there");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (choice === "native") throw new Problem(`The native engine cannot be used: ${why}`, { cause: error });
    return await openWasm(`no native engine: ${why}`);
  }
}

async function openLibrary(library: Library, reason: string): Promise<Engine> {
  const { tensorFlow } = await openNative(library);
  const [gpu] = tensorFlow.gpu === undefined ? [] : await nvidiaGpus();
  return {
    kind: "native",
    version: `libtensorflow ${tensorFlow.version}`,
    device: describe(gpu ?? cpu()),
    threads: cpu().threads,
    reason,
  };
}

async function openWasm(reason: string): Promise<Engine> {
  await tf.setBackend("wasm");
  await tf.ready();
  return {
    kind: "wasm",
    version: `tfjs-backend-wasm ${tf.version_core}`,
    device: describe(cpu()),
    threads: 1,
    reason,
  };
}
