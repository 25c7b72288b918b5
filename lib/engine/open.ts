import { tf } from "./tf.ts";
import type { Engine, EngineChoice } from "./types.ts";
import "@tensorflow/tfjs-backend-wasm";

export async function openEngine(_choice: EngineChoice = "auto"): Promise<Engine> {
  await tf.setBackend("wasm");
  await tf.ready();
  return { kind: "wasm", version: "tfjs-backend-wasm 4.22.0", device: "CPU", threads: 1, reason: "sketch" };
}
