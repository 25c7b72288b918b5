import { type Attribute, AttributeKind, typeAttribute } from "./attributes.ts";
import { type Binding, ElementType } from "./binding.ts";
import { isCompiled } from "./compiling.ts";
import { type NodeBackend, onGpu } from "./native.ts";
import { productType } from "./products.ts";
import { type Tensor, tf } from "./tf.ts";

interface MatMulArguments {
  readonly inputs: { readonly a: Tensor; readonly b: Tensor };
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
      const given = args as unknown as MatMulArguments;
      const { inputs: { a, b }, attrs: { transposeA, transposeB }, backend } = given;
      const plain = a.shape.length === 2 && b.shape.length === 2, operation = plain ? "MatMul" : "BatchMatMulV2";
      const [left, right] = plain ? ["transpose_a", "transpose_b"] : ["adj_x", "adj_y"];
      const attributes = (type: number) => [
        typeAttribute("T", type),
        { name: left, type: AttributeKind.bool, value: transposeA },
        { name: right, type: AttributeKind.bool, value: transposeB },
      ];
      // XLA for processors has no library for stacks in bfloat16, and rounding attention's small ones costs more than it brings.
      const compiled = isCompiled() && !onGpu();
      if (productType() === "float32" || (compiled && !plain)) {
        return backend.executeSingleOutput(operation, attributes(ElementType.float32), [a, b]);
      }
      if (compiled) return compiledInBfloat16(given);
      return inBfloat16(backend, [a, b], operation, attributes(ElementType.bfloat16));
    },
  });
}

/**
 * A product of two matrices rounded to bfloat16, its sums and its result in
 * float32, as XLA's library for processors multiplies them: the first one must
 * lie with what is summed last, and so must the result with its columns. XLA
 * computes in float32 what does not, but for a product whose transpose is by
 * itself a result of what is compiled: that ends in an error.
 */
function compiledInBfloat16({ inputs: { a, b }, attrs: { transposeA, transposeB }, backend }: MatMulArguments) {
  const { float32, bfloat16, int32 } = ElementType;
  const run = (name: string, attributes: Attribute[], inputs: number[]) =>
    backend.binding.executeOp(name, attributes, inputs, 1)[0]!;
  const list = (values: number[]) => backend.getInputTensorIds([tf.tensor1d(values, "int32")])[0]!;
  const rounded = (x: Tensor, turned: boolean) => {
    let { id } = cast(backend.binding, backend.getInputTensorIds([x])[0]!, float32, bfloat16);
    const types = (key: string) => [typeAttribute("T", bfloat16), typeAttribute(key, int32)];
    if (turned) ({ id } = run("Transpose", types("Tperm"), [id, list([1, 0])]));
    // What turns a matrix round leaves it where it lies, until it is given its shape again.
    return run("Reshape", types("Tshape"), [id, list(turned ? x.shape.toReversed() : x.shape)]).id;
  };
  // Otherwise XLA would read the first factor as it lay before, and then find that it cannot.
  const first = run("XlaOptimizationBarrier", [typeAttribute("T", [bfloat16])], [rounded(a, transposeA)]).id;
  // `xla.DotDimensionNumbers`: the axis of each that is summed over.
  const axes = String.fromCharCode(0o12, 1, 1, 0o22, 1, transposeB ? 1 : 0);
  const product = run("XlaDotV2", [
    typeAttribute("LhsT", bfloat16),
    typeAttribute("RhsT", bfloat16),
    typeAttribute("preferred_element_type", float32),
    { name: "dimension_numbers", type: AttributeKind.string, value: axes },
    { name: "precision_config", type: AttributeKind.string, value: "" },
  ], [first, rounded(b, false)]);
  return backend.createOutputTensor(product);
}

/** The operation on its inputs rounded to bfloat16, its result in float32 again. */
function inBfloat16(backend: MatMulArguments["backend"], inputs: unknown[], name: string, attributes: Attribute[]) {
  const { binding } = backend;
  const { float32, bfloat16 } = ElementType;
  const factors = backend.getInputTensorIds(inputs).map((id) => cast(binding, id, float32, bfloat16).id);
  const product = binding.executeOp(name, attributes, factors, 1)[0]!;
  const result = backend.createOutputTensor(cast(binding, product.id, bfloat16, float32));
  // While a function is recorded the numbers name places in its graph, and nothing is there to delete.
  if (!binding.recorder) { for (const id of [...factors, product.id]) binding.deleteTensor(id); }
  return result;
}

function cast(binding: Binding, id: number, from: number, to: number) {
  const types = [typeAttribute("SrcT", from), typeAttribute("DstT", to)];
  return binding.executeOp(
    "Cast",
    [...types, { name: "Truncate", type: AttributeKind.bool, value: false }],
    [id],
    1,
  )[0]!;
}
