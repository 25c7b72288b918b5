import { functionAttribute, mustCompile, typeAttribute } from "./attributes.ts";
import { compileParts, isCompiled, isDivisible, recordedAs } from "./compiling.ts";
import { cpu } from "./device.ts";
import { type NativeEngine, nativeEngine, onGpu } from "./native.ts";
import { elementType, recordFunction } from "./recording.ts";
import { type Tensors, tf } from "./tf.ts";

/** With fewer rows, products of matrices lose more than what is gained by computing two at once. */
const leastRows = 16;
/** Each part of a training step gives a whole gradient, which takes memory and is summed. */
const mostParts = 4;

/**
 * `rows` as equal parts along their first axis, as many as are worth computing
 * at once: one for each thread of a processor where what is recorded is going
 * to be compiled, elsewhere one.
 */
export function partsOf<Rows extends Tensors>(rows: Rows): Rows[] {
  const count = Object.values(rows)[0]?.shape[0] ?? 0, parts = isDivisible() ? partCount(count, threads()) : 1;
  if (parts === 1) return [rows];
  compileParts();
  const pieces = Object.entries(rows).map(([key, x]) => [key, tf.split(x, parts, 0)] as const);
  return Array.from({ length: parts }, (_, i) => Object.fromEntries(pieces.map(([key, of]) => [key, of[i]!])) as Rows);
}

/** The most parts of at least `leastRows` that `rows` divide into and `threads` compute at once. */
export function partCount(rows: number, threads: number): number {
  let count = Math.max(1, Math.min(mostParts, threads, Math.floor(rows / leastRows)));
  while (rows % count !== 0) count--;
  return count;
}

/**
 * What `body` makes of each part and what they share, at once: each is compiled
 * for itself, single-threaded stretches and all, and one fills the gaps that
 * another leaves. Once `partsOf` has given several, what is outside of parts is
 * not compiled: a rest that is to be compiled is a part of its own.
 *
 * @param parts of equal shapes
 * @param body takes no tensor but those that it is given
 */
export function atOnce<Part extends Tensors, Shared extends Tensors, Outputs extends Tensors>(
  parts: readonly Part[],
  shared: Shared,
  body: (inputs: Part & Shared) => Outputs,
): Outputs[] {
  const native = nativeEngine();
  // A single part of what is compiled as a whole is none.
  const inline = !isDivisible() || (parts.length === 1 && isCompiled());
  if (!native || inline) return parts.map((part) => body({ ...shared, ...part }));
  const call = recordPart(native, { ...shared, ...parts[0]! }, body);
  return parts.map((part) => call({ ...shared, ...part }));
}

/** `atOnce` on the parts of `rows`, for a `body` whose results have the rows as their first axis too. */
export function rowByRow<Rows extends Tensors, Shared extends Tensors, Outputs extends Tensors>(
  rows: Rows,
  shared: Shared,
  body: (inputs: Rows & Shared) => Outputs,
): Outputs {
  return joined(atOnce(partsOf(rows), shared, body));
}

/** The rows of all parts, in order. */
export function joined<Rows extends Tensors>(parts: readonly Rows[]): Rows {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const rows = Object.keys(first!).map((key) => [key, tf.concat(parts.map((part) => part[key]!), 0)]);
  return Object.fromEntries(rows) as Rows;
}

/** A GPU computes all rows at once. */
const threads = () => onGpu() ? 1 : Number(Deno.env.get("TF_NUM_INTRAOP_THREADS")) || cpu().threads;

/** Records `body` as a function of its own; the result adds a call of it to what is being recorded. */
function recordPart<Inputs extends Tensors, Outputs extends Tensors>(
  native: NativeEngine,
  like: Inputs,
  body: (inputs: Inputs) => Outputs,
) {
  const { binding, backend } = native, recorder = binding.recorder!;
  const name = `${recorder.nameWithin()}_part`;
  let types: number[] = [], shapes: (readonly number[])[] = [];
  compileParts();
  const { results, ordered } = recordedAs("part", () =>
    recordFunction(native, name, name, like, (given) => {
      const made = body(given as Inputs);
      types = Object.values(made).map(elementType);
      shapes = Object.values(made).map(({ shape }) => shape);
      return made;
    }));
  return (inputs: Inputs): Outputs => {
    const given = Object.keys(like).map((key) => inputs[key]!);
    const made = recorder.execute(
      "PartitionedCall",
      [
        typeAttribute("Tin", given.map(elementType)),
        typeAttribute("Tout", types),
        functionAttribute("f", name),
        ...(ordered ? [] : [mustCompile]),
      ],
      backend.getInputTensorIds(given),
      shapes,
    );
    return Object.fromEntries(results.map((key, i) => [key, backend.createOutputTensor(made[i]!)])) as Outputs;
  };
}
