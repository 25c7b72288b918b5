import { openNative } from "./native.ts";
import { tf } from "./tf.ts";
import type { Engine, EngineChoice } from "./types.ts";
import "@tensorflow/tfjs-backend-wasm";

// Stand-in until locate.ts, install.ts and device.ts are there.
export async function openEngine(choice: EngineChoice = "auto"): Promise<Engine> {
  if (choice === "wasm") {
    await tf.setBackend("wasm");
    await tf.ready();
    return { kind: "wasm", version: "tfjs-backend-wasm 4.22.0", device: "CPU", threads: 1, reason: "sketch" };
  }
  const dir = "/tmp/w/tf/tensorflow";
  const { tensorFlow } = await openNative({ framework: dir + "/libtensorflow_framework.so.2", cc: dir + "/libtensorflow_cc.so.2" });
  return { kind: "native", version: tensorFlow.version, device: "CPU", threads: 2, reason: "sketch" };
}
