import { type Tensors, tf } from "../../lib/engine/mod.ts";
import { nativeEngine } from "../../lib/engine/native.ts";

/** A call of the native engine, with the shapes that went in and came out. */
export interface ExecutedOperation {
  readonly name: string;
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/**
 * The operations that the native engine executes for the results of `body`, in
 * order; the tensors that it starts from are to be made in there.
 */
export function executedOperations(body: () => Tensors): ExecutedOperation[] {
  const { binding, backend } = nativeEngine()!;
  const { createTensor, executeOp } = binding;
  const shapes = new Map<number, readonly number[]>();
  const executed: (ExecutedOperation & { ids: { inputs: readonly number[]; outputs: readonly number[] } })[] = [];
  binding.createTensor = (shape, dtype, values) => {
    const id = createTensor(shape, dtype, values);
    shapes.set(id, shape);
    return id;
  };
  binding.executeOp = (name, attributes, inputs, count) => {
    const outputs = executeOp(name, attributes, inputs, count);
    outputs.forEach(({ id, shape }) => shapes.set(id, shape));
    executed.push({
      ids: { inputs: [...inputs], outputs: outputs.map(({ id }) => id) },
      name,
      inputs: inputs.map((id) => shapes.get(id)!),
      outputs: outputs.map(({ shape }) => shape),
      attributes: Object.fromEntries(attributes.map(({ name, value }) => [name, value])),
    });
    return outputs;
  };
  let wanted: Set<number>;
  try {
    tf.tidy(() => void (wanted = new Set(backend.getInputTensorIds(Object.values(body())))));
  } finally {
    Object.assign(binding, { createTensor, executeOp });
  }
  const needed: ExecutedOperation[] = [];
  for (const operation of executed.toReversed()) {
    if (!operation.ids.outputs.some((id) => wanted.has(id))) continue;
    needed.push(operation);
    operation.ids.inputs.forEach((id) => wanted.add(id));
  }
  return needed.reverse();
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

/** Two for each multiply-add of TensorFlow's products and convolutions. */
export function flopsOf({ name, inputs, outputs, attributes }: ExecutedOperation): number {
  const [a, b] = inputs as [readonly number[], readonly number[]], out = sizeOf(outputs[0] ?? []);
  switch (name) {
    case "MatMul":
      return 2 * out * (attributes.transpose_a ? a[0]! : a[1]!);
    case "BatchMatMulV2":
      return 2 * out * (attributes.adj_x ? a.at(-2)! : a.at(-1)!);
    case "Conv2D":
    case "_FusedConv2D":
      return 2 * out * sizeOf(b.slice(0, 3));
    case "Conv2DBackpropInput": // sizes, filter, gradient of the output
      return 2 * sizeOf(inputs[2]!) * sizeOf(b.slice(0, 3));
    case "Conv2DBackpropFilter": // input, sizes, gradient of the output
      return 2 * sizeOf(inputs[2]!) * sizeOf(outputs[0]!.slice(0, 3));
    default:
      return 0;
  }
}
