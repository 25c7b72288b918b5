import util from "node:util";
import { type Binding, createBinding } from "./binding.ts";
import { keepCompiled } from "./compiled.ts";
import { prepareCuda } from "./cuda.ts";
import { loadTensorFlow, pin, type TensorFlow } from "./library.ts";
import type { Library } from "./locate.ts";
import { registerMatMul } from "./mat_mul.ts";
import { tf } from "./tf.ts";

/** The native engine while it is in use: what tracing needs of it. */
export interface NativeEngine {
  readonly tensorFlow: TensorFlow;
  readonly binding: Binding;
  readonly backend: NodeBackend;
}

/** The parts of tfjs-node's `NodeJSKernelBackend` that the engine calls itself. */
export interface NodeBackend {
  getInputTensorIds(tensors: readonly unknown[]): number[];
  createOutputTensor(metadata: { id: number; shape: number[]; dtype: number }): ReturnType<typeof tf.tensor>;
  executeSingleOutput(
    name: string,
    attributes: readonly unknown[],
    inputs: readonly unknown[],
  ): ReturnType<typeof tf.tensor>;
  executeMultipleOutputs(
    name: string,
    attributes: readonly unknown[],
    inputs: readonly unknown[],
    outputs: number,
  ): ReturnType<typeof tf.tensor>[];
  write(values: unknown, shape: number[], dtype: string): object;
}

let opened: NativeEngine | undefined;

/** The native engine, if it is the one in use. */
export function nativeEngine(): NativeEngine | undefined {
  return tf.getBackend() === "tensorflow" ? opened : undefined;
}

/** Whether the engine in use computes on a GPU. */
export function onGpu(): boolean {
  return nativeEngine()?.tensorFlow.gpu !== undefined;
}

/** Puts tfjs on the libtensorflow at `library`. Throws what the loader says when it cannot be loaded. */
export async function openNative(library: Library): Promise<NativeEngine> {
  let engine = opened;
  if (!engine) {
    await prepareCuda(library, pin);
    await keepCompiled(library);
    const tensorFlow = loadTensorFlow(library);
    const binding = createBinding(tensorFlow);
    // The package calls two helpers of node:util that Deno does not have.
    const nodeUtil = util as unknown as Record<string, unknown>;
    nodeUtil.isNullOrUndefined ??= (value: unknown) => value == null;
    nodeUtil.isArray ??= Array.isArray;
    const { NodeJSKernelBackend } = await import("@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js");
    await import("@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js");
    registerMatMul();
    type Addon = ConstructorParameters<typeof NodeJSKernelBackend>[0];
    const backend = new NodeJSKernelBackend(binding as unknown as Addon, "@tensorflow/tfjs-node-gpu");
    tf.registerBackend("tensorflow", () => backend, 3);
    engine = opened = { tensorFlow, binding, backend: backend as unknown as NodeBackend };
  }
  await tf.setBackend("tensorflow");
  return engine;
}
