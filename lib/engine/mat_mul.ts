import { type Attribute, AttributeKind, typeAttribute } from "./attributes.ts";
import { type Binding, ElementType } from "./binding.ts";
import type { NodeBackend } from "./native.ts";
import { productType } from "./products.ts";
import { tf } from "./tf.ts";

interface MatMulArguments {
  readonly inputs: { readonly a: ReturnType<typeof tf.tensor>; readonly b: ReturnType<typeof tf.tensor> };
  readonly attrs: { readonly transposeA: boolean; readonly transposeB: boolean };
  readonly backend: NodeBackend & { readonly binding: Binding };
}

/**
 * Sends products of two matrices to TensorFlow's `MatMul`, which tfjs-node
 * sends to `BatchMatMulV2` like all others: the plain kernel is up to 1.8 times
 * as fast at the shapes of small models. `withProducts` says in which type
 * factors are read; tfjs has no bfloat16, so that such tensors live in here alone.
 */
export function registerMatMul(): void {
  tf.unregisterKernel("BatchMatMul", "tensorflow");
  tf.registerKernel({
    kernelName: "BatchMatMul",
    backendName: "tensorflow",
    kernelFunc: (args) => {
      const { inputs: { a, b }, attrs: { transposeA, transposeB }, backend } = args as unknown as MatMulArguments;
      const plain = a.shape.length === 2 && b.shape.length === 2, operation = plain ? "MatMul" : "BatchMatMulV2";
      const [left, right] = plain ? ["transpose_a", "transpose_b"] : ["adj_x", "adj_y"];
      const attributes = (type: number) => [
        typeAttribute("T", type),
        { name: left, type: AttributeKind.bool, value: transposeA },
        { name: right, type: AttributeKind.bool, value: transposeB },
      ];
      if (productType() === "float32") {
        return backend.executeSingleOutput(operation, attributes(ElementType.float32), [a, b]);
      }
      return inBfloat16(backend, [a, b], operation, attributes(ElementType.bfloat16));
    },
  });
}

/** The operation on its inputs rounded to bfloat16, its result in float32 again. */
function inBfloat16(backend: MatMulArguments["backend"], inputs: unknown[], name: string, attributes: Attribute[]) {
  const { binding } = backend;
  const cast = (id: number, from: number, to: number) =>
    binding.executeOp(
      "Cast",
      [
        typeAttribute("SrcT", from),
        typeAttribute("DstT", to),
        { name: "Truncate", type: AttributeKind.bool, value: false },
      ],
      [id],
      1,
    )[0]!;
  const { float32, bfloat16 } = ElementType;
  const factors = backend.getInputTensorIds(inputs).map((id) => cast(id, float32, bfloat16).id);
  const product = binding.executeOp(name, attributes, factors, 1)[0]!;
  const result = backend.createOutputTensor(cast(product.id, bfloat16, float32));
  // While a function is recorded the numbers name places in its graph, and nothing is there to delete.
  if (!binding.recorder) { for (const id of [...factors, product.id]) binding.deleteTensor(id); }
  return result;
}
