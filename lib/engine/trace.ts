import { hashOf } from "../core/hash.ts";
import { say } from "../core/terminal.ts";
import { type Attribute, mustCompile } from "./attributes.ts";
import type { TensorMetadata } from "./binding.ts";
import { explained } from "./compiled.ts";
import { isCompiled, recordedAs } from "./compiling.ts";
import { type NativeEngine, nativeEngine } from "./native.ts";
import { type ProductType, productType, withProducts } from "./products.ts";
import { recordFunction } from "./recording.ts";
import { type Tensor, type Tensors, tf } from "./tf.ts";

/** A traced function: tensors by name in, tensors by name out. The caller owns both. */
export interface Traced<Inputs extends Tensors, Outputs extends Tensors> {
  (inputs: Inputs): Outputs;
  /**
   * The same on another thread of the native engine, while JavaScript goes on:
   * what prepares the next call then takes no time of its own. Elsewhere the
   * result is there at once.
   */
  aside(inputs: Inputs): Promise<Outputs>;
}

/** How a function is run on the native engine. */
export interface TraceOptions {
  /**
   * Compile it with XLA, which joins element-wise operations, at some seconds a
   * signature. What says in which order it is computed (`recomputed`) is never
   * compiled, since XLA would compute the same things once. Default false.
   */
  readonly compile?: boolean;
  /** What `body` multiplies in, as by `withProducts`. Default: as all around. */
  readonly products?: ProductType | undefined;
}

/** How traced functions run instead of as their code says. */
export type Execution = "eager" | "recorded" | "compiled" | "bfloat16";
let forced: Execution | undefined;

/**
 * Runs every traced function operation by operation (`eager`), as recorded
 * (`recorded`), compiled with XLA (`compiled`), or as its code says but for its
 * matrix products, in `bfloat16`, from here on, so that the ways can be timed against
 * each other, or a short run be spared compiling; `undefined` ends that. The
 * embedded engine is always eager and in float32.
 */
export function forceExecution(execution: Execution | undefined): void {
  forced = execution;
}

/**
 * Makes `body` one call of the engine. On the native engine it is recorded once
 * per signature of input shapes and types, on tensors without values, and from
 * then on replayed as one TensorFlow function; on the embedded engine it runs
 * eagerly. `body` must be a pure function of `inputs`: everything that changes
 * between calls (parameters, randomness, step sizes) comes in as a tensor, and
 * no value is read inside. Numbers in the code are fixed at the recording.
 *
 * A `body` that cannot be recorded, because it uses a tensor from outside or
 * reads a value, runs eagerly too; why is said once.
 */
export function trace<Inputs extends Tensors, Outputs extends Tensors>(
  name: string,
  body: (inputs: Inputs) => Outputs,
  options: TraceOptions = {},
): Traced<Inputs, Outputs> {
  const recorded = new Map<string, Recording | "eager">();
  const eagerly = (inputs: Inputs) =>
    tidyAll(() => withProducts(options.products ?? productType(), () => body(inputs)));
  /** The call to make of the native engine; none where `body` itself is to be run. */
  const callFor = (inputs: Inputs): Call | undefined => {
    const native = nativeEngine();
    if (!native || forced === "eager") return undefined;
    // In one order, whatever the caller's: another one is not another function to record and compile.
    const sorted = Object.entries(inputs).sort(([a], [b]) => a < b ? -1 : 1);
    const shapes = sorted.map(([key, { dtype, shape }]) => `${key}:${dtype}[${shape}]`);
    const products = options.products ?? (forced === "bfloat16" ? forced : productType());
    const compile = forced === "compiled" || (options.compile === true && forced !== "recorded");
    const signature = [...shapes, compile ? "compiled" : "", products].join(" ");
    let recording = recorded.get(signature);
    if (!recording) {
      const given = (own: Inputs) => withProducts(products, () => body(own));
      const own = Object.fromEntries(sorted) as Inputs;
      recorded.set(signature, recording = recordOrNot(native, nameOf(name, signature), name, own, given, compile));
    }
    if (recording === "eager") return undefined;
    const { functionName, attributes, results } = recording;
    const ids = native.backend.getInputTensorIds(sorted.map(([, tensor]) => tensor));
    return { native, results, operation: [functionName, attributes, ids, results.length] };
  };
  const traced = (inputs: Inputs): Outputs => {
    const call = callFor(inputs);
    if (!call) return eagerly(inputs);
    try {
      return outputsOf(call, call.native.binding.executeOp(...call.operation)) as Outputs;
    } catch (error) {
      throw explained(error);
    }
  };
  const aside = async (inputs: Inputs): Promise<Outputs> => {
    const call = callFor(inputs);
    if (!call) return eagerly(inputs);
    try {
      return outputsOf(call, await call.native.binding.executeAside(...call.operation)) as Outputs;
    } catch (error) {
      throw explained(error);
    }
  };
  return Object.assign(traced, { aside });
}

/** A call of a recorded function. */
interface Call {
  readonly native: NativeEngine;
  readonly results: readonly string[];
  readonly operation: Parameters<NativeEngine["binding"]["executeOp"]>;
}

function outputsOf({ native, results }: Call, metadata: readonly TensorMetadata[]): Tensors {
  return Object.fromEntries(results.map((key, i) => [key, native.backend.createOutputTensor(metadata[i]!)]));
}

/** A function that TensorFlow knows, and the names of its results. */
interface Recording {
  readonly functionName: string;
  readonly results: readonly string[];
  readonly attributes: readonly Attribute[];
}

const recordings = new Map<string, number>();

/** The same from run to run, so that what was compiled is found again; of several alike the second ends in 1. */
function nameOf(name: string, signature: string): string {
  const stem = `nfm_${name.replace(/\W/g, "_")}_${hashOf(signature).slice(0, 12)}`, earlier = recordings.get(stem) ?? 0;
  recordings.set(stem, earlier + 1);
  return `${stem}_${earlier}`;
}

/** By their names, why functions that the native engine could not record run eagerly. */
export const notRecorded: Map<string, string> = new Map();

/** The recording; or `eager` where there can be none, which has a mistake in the body come up as its own error. */
function recordOrNot<Inputs extends Tensors>(...asked: Parameters<typeof record<Inputs>>): Recording | "eager" {
  try {
    return record(...asked);
  } catch (error) {
    const name = asked[2], reason = error instanceof Error ? error.message : String(error);
    if (!notRecorded.has(name)) say(`${reason}; it runs operation by operation, which is slower`);
    notRecorded.set(name, reason);
    return "eager";
  }
}

function record<Inputs extends Tensors>(
  native: NativeEngine,
  functionName: string,
  name: string,
  inputs: Inputs,
  body: (inputs: Inputs) => Tensors,
  compile: boolean,
): Recording {
  return recordedAs(compile ? "whole" : "not", () => {
    const { results, ordered } = recordFunction(native, functionName, name, inputs, (given) => body(given as Inputs));
    return { functionName, results, attributes: isCompiled() && !ordered ? [mustCompile] : [] };
  });
}

function tidyAll<Outputs extends Tensors>(body: () => Outputs): Outputs {
  return tf.tidy(() => body() as unknown as { [name: string]: Tensor }) as unknown as Outputs;
}
