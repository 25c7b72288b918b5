import { ElementType, type Recorder, type TensorMetadata } from "./binding.ts";
import { createGraph, type Graph, type Place } from "./graph.ts";
import type { NativeEngine } from "./native.ts";
import { type Tensor, type Tensors, tf } from "./tf.ts";

/**
 * Records what `body` does as a TensorFlow function `functionName`, without
 * doing it: on tensors that have a shape and no value, so that a recording
 * takes neither the time nor the memory of a run.
 *
 * @param inputs of the shapes and types to record for; they stay the caller's
 * @returns the names of the results, in order, and whether `body` says what is to be computed before what
 * @throws {Error} if `body` uses a tensor from outside, reads a value, or if a shape depends on one
 */
export function recordFunction(
  native: NativeEngine,
  functionName: string,
  name: string,
  inputs: Tensors,
  body: (inputs: Tensors) => Tensors,
): { readonly results: readonly string[]; readonly ordered: boolean } {
  const { binding, backend } = native;
  const graph = createGraph(native.tensorFlow, name);
  const written = new WeakSet<object>();
  const restoreWrite = listenToWrites(native, written);
  const { recorder, own, placeOf, isOrdered } = createRecorder(graph, functionName, name, written);
  const outer = binding.recorder;
  binding.recorder = recorder;
  // Every input a tensor of its own, even where the same one was passed twice.
  const parameters = Object.entries(inputs).map(([key, x]) => {
    const place = graph.parameter(elementType(x), x.shape);
    return { key, place, tensor: backend.createOutputTensor(own(place)) };
  });
  try {
    const names = tf.tidy(() => {
      const outputs = body(Object.fromEntries(parameters.map(({ key, tensor }) => [key, tensor])));
      const results = backend.getInputTensorIds(Object.values(outputs)).map(placeOf);
      graph.define(functionName, parameters.map(({ place }) => place), results);
      return Object.keys(outputs) as unknown as tf.TensorContainer;
    }) as unknown as string[];
    return { results: names, ordered: isOrdered() };
  } finally {
    for (const { tensor } of parameters) tensor.dispose();
    binding.recorder = outer;
    restoreWrite();
    graph.dispose();
  }
}

/** Numbers of recorded tensors, below zero, of all recordings: one may be made within another. */
let lastId = 0;

/** A recorder into a graph, and its numbers for tensors. */
function createRecorder(graph: Graph, functionName: string, name: string, written: WeakSet<object>) {
  const places = new Map<number, Place>();
  const own = (place: Place): TensorMetadata => {
    const id = --lastId;
    places.set(id, place);
    return { id, ...graph.factsOf(place) };
  };
  const placeOf = (id: number): Place => {
    const place = places.get(id);
    if (!place) throw fromOutside(name);
    return place;
  };
  let waitsFor: Place | undefined, ordered = false, within = 0;
  const recorder: Recorder = {
    nameWithin: () => `${functionName}_${within++}`,
    create(shape, dtype, values) {
      // 64-bit scalars are made by the kernels themselves, past the backend.
      if (!written.has(values) && dtype !== ElementType.int64) throw fromOutside(name);
      return own(graph.constant(dtype, shape, values)).id;
    },
    execute(type, attributes, inputs, shapes) {
      const made = graph.operation(type, attributes, inputs.map(placeOf), waitsFor);
      shapes?.forEach((shape, i) => graph.stateShape(made[i]!, shape));
      return made.map(own);
    },
    keepOrder() {
      ordered = true;
    },
    waiting(id, record) {
      const before = waitsFor;
      waitsFor = placeOf(id);
      ordered = true;
      try {
        return record();
      } finally {
        waitsFor = before;
      }
    },
    read() {
      throw new Error(`Recording ${name}: it reads the value of a tensor, which a recorded function cannot`);
    },
  };
  return { recorder, own, placeOf, isOrdered: () => ordered };
}

const fromOutside = (name: string) =>
  new Error(`Recording ${name}: a tensor came from outside; pass it in as an input`);

/** Notes which values are written while recording: those alone may become constants. */
function listenToWrites({ backend }: NativeEngine, written: WeakSet<object>): () => void {
  const hooks = backend as unknown as { move: (...args: unknown[]) => unknown };
  const move = hooks.move;
  hooks.move = function (this: unknown, ...args: unknown[]) {
    if (typeof args[1] === "object" && args[1] !== null) written.add(args[1]);
    return move.apply(this, args);
  };
  return () => {
    hooks.move = move;
  };
}

/** TensorFlow's number of a tensor's element type. */
export function elementType(x: Tensor): number {
  return ElementType[x.dtype as keyof typeof ElementType];
}
