import { type Attribute, AttributeKind, float64Type } from "./attributes.ts";
import { ElementType } from "./binding.ts";
import { nativeEngine } from "./native.ts";

/** Linear algebra in float64, which tfjs has no tensors for. On the processor, where there is a GPU too. */
export interface Float64Algebra {
  /** The products of rows, A Bᵀ, of two `[n, length]`, row-major: `[n, n]`. */
  rowProducts(a: Float64Array, b: Float64Array, n: number): Float64Array;
  /** Eigenvalues of a symmetric `[d, d]`, in increasing order; only the lower triangle is read. */
  eigenvalues(matrix: Float64Array, d: number): Float64Array;
  /** The same, and their vectors as the columns of `[d, d]`. */
  eigenvectors(matrix: Float64Array, d: number): { values: Float64Array; vectors: Float64Array };
}

/** With more rows the engine is faster than JavaScript by far; with fewer, handing them over takes what is gained. */
const fewRows = 256;

/** That of the engine in use for matrices of `rows` rows, where it is worth its call. The embedded engine has none. */
export function float64Algebra(rows: number): Float64Algebra | undefined {
  const binding = rows > fewRows ? nativeEngine()?.binding : undefined;
  if (!binding) return undefined;
  const execute = (name: string, attributes: readonly Attribute[], matrices: readonly Float64Array[], rows: number) => {
    const inputs = matrices.map((x) => binding.createTensor([rows, x.length / rows], ElementType.float64, x));
    const results = binding.executeOp(name, [float64Type, ...attributes], inputs, 2);
    const values = results.map(({ id }) => binding.tensorDataSync(id) as Float64Array);
    for (const id of [...inputs, ...results.map(({ id }) => id)]) binding.deleteTensor(id);
    return values;
  };
  const flag = (name: string, value: boolean): Attribute => ({ name, type: AttributeKind.bool, value });
  return {
    rowProducts: (a, b, n) => execute("MatMul", [flag("transpose_a", false), flag("transpose_b", true)], [a, b], n)[0]!,
    eigenvalues: (matrix, d) => execute("SelfAdjointEigV2", [flag("compute_v", false)], [matrix], d)[0]!,
    eigenvectors(matrix, d) {
      const [values, vectors] = execute("SelfAdjointEigV2", [flag("compute_v", true)], [matrix], d);
      return { values: values!, vectors: vectors! };
    },
  };
}
