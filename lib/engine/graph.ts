import { type Attribute, setAttribute, typeAttribute } from "./attributes.ts";
import { newTensor } from "./binding.ts";
import { cString, type TensorFlow } from "./library.ts";
import { fields } from "./protobuf.ts";

/** A place in a graph: output `index` of an operation. */
export interface Place {
  readonly operation: Deno.PointerValue;
  readonly index: number;
}

/** What is known of a place before anything is computed. */
export interface PlaceFacts {
  readonly shape: number[];
  readonly dtype: number;
}

/**
 * A TensorFlow graph under construction. Nothing is computed: TensorFlow infers
 * the shape of every output, for which the values of constants are enough.
 */
export interface Graph {
  parameter(dtype: number, shape: readonly number[]): Place;
  constant(dtype: number, shape: readonly number[], values: ArrayLike<number>): Place;
  /**
   * @param after what the operation waits for besides its inputs
   * @returns the outputs of the new operation
   */
  operation(type: string, attributes: readonly Attribute[], inputs: readonly Place[], after?: Place): Place[];
  /** Says the shape of what TensorFlow cannot infer. */
  stateShape(place: Place, shape: readonly number[]): void;
  /** @throws {Error} if the shape depends on values that are not there */
  factsOf(place: Place): PlaceFacts;
  /**
   * Registers a function in the eager context, which `executeOp(name, [], parameters, results)` then calls.
   * Operations that no result depends on are left out.
   */
  define(functionName: string, parameters: readonly Place[], results: readonly Place[]): void;
  dispose(): void;
}

/** An empty graph; `name` is what it is for, in errors. */
export function createGraph(tf: TensorFlow, name: string): Graph {
  const { c, status, check } = tf;
  const pointer = c.TF_NewGraph();
  const label = nodeLabels();
  /** By the address of an operation: those that its inputs come from. */
  const sources = new Map<bigint, readonly Place[]>();
  const node = (type: string, inputs: readonly Place[], build: (op: Deno.PointerValue) => void) => {
    const description = c.TF_NewOperation(pointer, cString(type), new TextEncoder().encode(label(type) + "\0"));
    build(description);
    const operation = c.TF_FinishOperation(description, status);
    check(`Recording ${name}, operation ${type}`);
    sources.set(addressOf(operation), inputs);
    return operation;
  };
  const operation: Graph["operation"] = (type, attributes, inputs, after) => {
    const made = node(type, after ? [...inputs, after] : inputs, (op) => {
      let next = 0;
      for (const count of inputCounts(tf, pointer, type, attributes)) {
        if (count === undefined) {
          c.TF_AddInput(op, output(inputs[next++]!));
        } else {
          const list = new Uint8Array(count * 16);
          for (let i = 0; i < count; i++) list.set(output(inputs[next++]!), i * 16);
          c.TF_AddInputList(op, list, count);
        }
      }
      if (after) c.TF_AddControlInput(op, after.operation);
      for (const attribute of attributes) {
        if (!inferred(type).includes(attribute.name)) setAttribute(tf, "graph", op, attribute);
      }
    });
    return Array.from({ length: c.TF_OperationNumOutputs(made) }, (_, index) => ({ operation: made, index }));
  };
  const factsOf: Graph["factsOf"] = (place) => {
    const rank = c.TF_GraphGetTensorNumDims(pointer, output(place), status);
    check(`Recording ${name}, reading a shape`);
    const sides = new BigInt64Array(Math.max(rank, 0));
    if (rank > 0) c.TF_GraphGetTensorShape(pointer, output(place), sides, rank, status);
    check(`Recording ${name}, reading a shape`);
    if (rank < 0 || sides.some((side) => side < 0n)) {
      const type = Deno.UnsafePointerView.getCString(c.TF_OperationOpType(place.operation)!);
      throw new Error(`Recording ${name}: the shape of what ${type} gives depends on values`);
    }
    return { shape: Array.from(sides, Number), dtype: c.TF_OperationOutputType(output(place)) };
  };
  return {
    stateShape(place, shape) {
      c.TF_GraphSetTensorShape(pointer, output(place), new BigInt64Array(shape.map(BigInt)), shape.length, status);
      check(`Recording ${name}, stating a shape`);
    },
    parameter(dtype, shape) {
      const operation = node("Placeholder", [], (op) => {
        c.TF_SetAttrType(op, cString("dtype"), dtype);
        c.TF_SetAttrShape(op, cString("shape"), new BigInt64Array(shape.map(BigInt)), shape.length);
      });
      return { operation, index: 0 };
    },
    constant(dtype, shape, values) {
      const operation = node("Const", [], (op) => {
        const tensor = newTensor(tf, shape, dtype, values);
        c.TF_SetAttrType(op, cString("dtype"), dtype);
        c.TF_SetAttrTensor(op, cString("value"), tensor, status);
        c.TF_DeleteTensor(tensor);
      });
      return { operation, index: 0 };
    },
    operation,
    factsOf,
    define(functionName, parameters, results) {
      // A result may be an input, a constant, or another result: an Identity makes each its own node.
      const own = results.map((place) => {
        const type = typeAttribute("T", factsOf(place).dtype);
        return operation("Identity", [type], [place])[0]!;
      });
      const body = needed(own, parameters, sources);
      const defined = c.TF_GraphToFunction(
        pointer,
        new TextEncoder().encode(functionName + "\0"),
        0,
        body.length,
        new BigUint64Array(body),
        parameters.length,
        outputs(parameters),
        own.length,
        outputs(own),
        null,
        null,
        null,
        status,
      );
      check(`Recording ${name}`);
      c.TFE_ContextAddFunction(tf.context, defined, status);
      check(`Registering ${functionName}`);
      c.TF_DeleteFunction(defined);
    },
    dispose: () => c.TF_DeleteGraph(pointer),
  };
}

const addressOf = (pointer: Deno.PointerValue): bigint => Deno.UnsafePointer.value(pointer);

/** The operations that the results depend on, without the parameters. */
function needed(
  results: readonly Place[],
  parameters: readonly Place[],
  sources: ReadonlyMap<bigint, readonly Place[]>,
): bigint[] {
  const outside = new Set(parameters.map(({ operation }) => addressOf(operation)));
  const found = new Set<bigint>(), open = results.map(({ operation }) => addressOf(operation));
  for (let address = open.pop(); address !== undefined; address = open.pop()) {
    if (found.has(address) || outside.has(address)) continue;
    found.add(address);
    for (const { operation } of sources.get(address) ?? []) open.push(addressOf(operation));
  }
  // In the order in which they were made.
  return [...sources.keys()].filter((address) => found.has(address));
}

/** Unique node names within one graph. */
function nodeLabels(): (type: string) => string {
  let count = 0;
  return (type) => `${type.replace(/^_+/, "")}_${count++}`;
}

/** A `TF_Output` as C lays it out: a pointer and an int, padded to 16 bytes. */
function output({ operation, index }: Place): Uint8Array<ArrayBuffer> {
  const bytes = new DataView(new ArrayBuffer(16));
  bytes.setBigUint64(0, Deno.UnsafePointer.value(operation), true);
  bytes.setInt32(8, index, true);
  return new Uint8Array(bytes.buffer);
}

function outputs(places: readonly Place[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(places.length * 16);
  places.forEach((place, i) => bytes.set(output(place), i * 16));
  return bytes;
}

/** What an operation's definition says of its inputs. */
interface InputArgument {
  readonly numberAttribute: string;
  readonly typeListAttribute: string;
}
const definitions = new Map<string, readonly InputArgument[]>();

/** For each input argument: how many tensors a list argument takes, or undefined where it is a single one. */
function inputCounts(
  tf: TensorFlow,
  graph: Deno.PointerValue,
  type: string,
  attributes: readonly Attribute[],
): (number | undefined)[] {
  return definition(tf, graph, type).map(({ numberAttribute, typeListAttribute }) => {
    const of = (name: string) => attributes.find((attribute) => attribute.name === name)?.value;
    if (numberAttribute) return of(numberAttribute) as number;
    return typeListAttribute ? (of(typeListAttribute) as number[]).length : undefined;
  });
}

/** The graph builder infers a list's length from the list and refuses to be told. */
function inferred(type: string): string[] {
  return (definitions.get(type) ?? []).map(({ numberAttribute }) => numberAttribute).filter((name) => name !== "");
}

function definition(tf: TensorFlow, graph: Deno.PointerValue, type: string): readonly InputArgument[] {
  let known = definitions.get(type);
  if (!known) {
    const buffer = tf.c.TF_NewBuffer();
    tf.c.TF_GraphGetOpDef(graph, cString(type), buffer, tf.status);
    tf.check(`Looking up operation ${type}`);
    const view = new Deno.UnsafePointerView(buffer!);
    const bytes = Deno.UnsafePointerView.getArrayBuffer(view.getPointer(0)!, Number(view.getBigUint64(8)));
    known = fields(new Uint8Array(bytes)).filter(([field]) => field === 2).map(([, argument]) => {
      // OpDef.ArgDef: number_attr is field 5, type_list_attr field 6.
      const text = (wanted: number) =>
        new TextDecoder().decode(fields(argument).find(([field]) => field === wanted)?.[1] ?? new Uint8Array());
      return { numberAttribute: text(5), typeListAttribute: text(6) };
    });
    tf.c.TF_DeleteBuffer(buffer);
    definitions.set(type, known);
  }
  return known;
}
