import { type Attribute, setAttribute } from "./attributes.ts";
import { newTensor } from "./binding.ts";
import { cString, type TensorFlow } from "./library.ts";

/** One recorded call: an operation of the eager run, its inputs and outputs by tensor number. */
export interface TapeOperation {
  readonly name: string;
  readonly attributes: readonly Attribute[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A value that the eager run made itself (a shape, an axis, a number in the code). */
export interface TapeConstant {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: number;
  readonly values: ArrayLike<number>;
}

/** Everything that one eager run of a function did, in order. */
export interface Tape {
  readonly parameters: readonly { readonly id: number; readonly dtype: number; readonly shape: readonly number[] }[];
  readonly constants: readonly TapeConstant[];
  readonly operations: readonly TapeOperation[];
  /** Tensor numbers of the results. */
  readonly results: readonly { readonly id: number; readonly dtype: number }[];
}

/** A place in the graph: output `index` of an operation. */
interface Place {
  readonly operation: Deno.PointerValue;
  readonly index: number;
}

/**
 * Turns a tape into a TensorFlow function registered in the eager context under
 * `name`, which `executeOp(name, [], inputs, results)` then calls. Operations that
 * no result depends on are left out.
 */
export function defineFunction(tf: TensorFlow, name: string, tape: Tape): void {
  const { c, status, check } = tf;
  const graph = c.TF_NewGraph();
  const places = new Map<number, Place>();
  const label = nodeLabels();
  const node = (type: string, build: (op: Deno.PointerValue) => void) => {
    const description = c.TF_NewOperation(graph, cString(type), new TextEncoder().encode(label(type) + "\0"));
    build(description);
    const operation = c.TF_FinishOperation(description, status);
    check(`Recording ${name}, operation ${type}`);
    return operation;
  };
  const place = (id: number): Place => {
    const found = places.get(id);
    if (!found) throw new Error(`Recording ${name}: a tensor came from outside; pass it in as an input`);
    return found;
  };

  for (const { id, dtype, shape } of tape.parameters) {
    const operation = node("Placeholder", (op) => {
      c.TF_SetAttrType(op, cString("dtype"), dtype);
      c.TF_SetAttrShape(op, cString("shape"), new BigInt64Array(shape.map(BigInt)), shape.length);
    });
    places.set(id, { operation, index: 0 });
  }
  const constants = new Map(tape.constants.map((constant) => [constant.id, constant]));
  const needed = live(tape);
  for (const { name: type, attributes, inputs, outputs } of needed) {
    for (const id of inputs) {
      const constant = constants.get(id);
      if (constant && !places.has(id)) places.set(id, { operation: constantNode(tf, node, constant), index: 0 });
    }
    const operation = node(type, (op) => {
      let next = 0;
      for (const count of inputCounts(tf, graph, type, attributes)) {
        if (count === undefined) {
          c.TF_AddInput(op, output(place(inputs[next++]!)));
        } else {
          const list = new Uint8Array(count * 16);
          for (let i = 0; i < count; i++) list.set(output(place(inputs[next++]!)), i * 16);
          c.TF_AddInputList(op, list, count);
        }
      }
      for (const attribute of attributes) {
        if (!inferred(type).includes(attribute.name)) setAttribute(tf, "graph", op, attribute);
      }
    });
    outputs.forEach((id, index) => places.set(id, { operation, index }));
  }
  // A result may be an input, a constant, or another result: an Identity makes each its own node.
  const results = tape.results.map(({ id, dtype }) => {
    const constant = constants.get(id);
    if (constant && !places.has(id)) places.set(id, { operation: constantNode(tf, node, constant), index: 0 });
    const operation = node("Identity", (op) => {
      c.TF_AddInput(op, output(place(id)));
      c.TF_SetAttrType(op, cString("T"), dtype);
    });
    return { operation, index: 0 };
  });

  const parameters = tape.parameters.map(({ id }) => place(id));
  const defined = c.TF_GraphToFunction(
    graph,
    new TextEncoder().encode(name + "\0"),
    0,
    -1,
    null,
    parameters.length,
    outputs(parameters),
    results.length,
    outputs(results),
    null,
    null,
    null,
    status,
  );
  check(`Recording ${name}`);
  c.TFE_ContextAddFunction(tf.context, defined, status);
  check(`Registering ${name}`);
  c.TF_DeleteFunction(defined);
  c.TF_DeleteGraph(graph);
}

/** The operations that the results depend on, in order. */
function live(tape: Tape): TapeOperation[] {
  const wanted = new Set(tape.results.map(({ id }) => id));
  const kept: TapeOperation[] = [];
  for (let i = tape.operations.length - 1; i >= 0; i--) {
    const operation = tape.operations[i]!;
    if (!operation.outputs.some((id) => wanted.has(id))) continue;
    operation.inputs.forEach((id) => wanted.add(id));
    kept.push(operation);
  }
  return kept.reverse();
}

type NodeMaker = (type: string, build: (op: Deno.PointerValue) => void) => Deno.PointerValue;

function constantNode(tf: TensorFlow, node: NodeMaker, constant: TapeConstant): Deno.PointerValue {
  return node("Const", (op) => {
    const tensor = newTensor(tf, constant.shape, constant.dtype, constant.values);
    tf.c.TF_SetAttrType(op, cString("dtype"), constant.dtype);
    tf.c.TF_SetAttrTensor(op, cString("value"), tensor, tf.status);
    tf.c.TF_DeleteTensor(tensor);
  });
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

/** The length-delimited fields of a protocol buffer message; numbers are skipped over. */
function fields(message: Uint8Array): [field: number, value: Uint8Array][] {
  const found: [number, Uint8Array][] = [];
  let at = 0;
  const varint = () => {
    let value = 0, shift = 1, byte;
    do {
      byte = message[at++]!;
      value += (byte & 0x7F) * shift;
      shift *= 128;
    } while (byte & 0x80);
    return value;
  };
  while (at < message.length) {
    const key = varint();
    const wireType = key % 8;
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else {
      const length = varint();
      found.push([Math.floor(key / 8), message.subarray(at, at += length)]);
    }
  }
  return found;
}
