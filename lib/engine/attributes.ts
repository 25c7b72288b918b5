import { cString, type TensorFlow } from "./library.ts";

/** Attribute kinds, as the numbers that `NodeJSKernelBackend` is told by the binding; the last is our own. */
export const AttributeKind = {
  string: 0,
  int: 1,
  float: 2,
  bool: 3,
  type: 4,
  shape: 5,
  resource: 6,
  function: 7,
} as const;

/** One attribute of an operation, as tfjs kernels give it. */
export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string | number[];
}

/** The attribute `name` that states an element type or a list of them, as `ElementType` numbers them. */
export function typeAttribute(name: string, elementType: number | number[]): Attribute {
  return { name, type: AttributeKind.type, value: elementType };
}

/** The attribute `name` of an operation in a graph that states a function known to the context. */
export function functionAttribute(name: string, functionName: string): Attribute {
  return { name, type: AttributeKind.function, value: functionName };
}

/** Of a call of a function: XLA compiles it. */
export const mustCompile: Attribute = { name: "_XlaMustCompile", type: AttributeKind.bool, value: true };

/** Of an operation whose elements are float64: it is computed on the processor. */
export const float64Type = typeAttribute("T", 2);

/** The setters of eager operations (`TFE_OpSetAttr…`) or of graph nodes (`TF_SetAttr…`). */
export type AttributeTarget = "eager" | "graph";

/** Sets `attribute` on an operation under construction. */
export function setAttribute(tf: TensorFlow, target: AttributeTarget, op: Deno.PointerValue, attribute: Attribute) {
  const { c } = tf;
  const { type, value } = attribute;
  const name = cString(attribute.name);
  const eager = target === "eager";
  const list = Array.isArray(value) ? value : undefined;
  switch (type) {
    case AttributeKind.type:
      if (!list) return (eager ? c.TFE_OpSetAttrType : c.TF_SetAttrType)(op, name, value as number);
      return (eager ? c.TFE_OpSetAttrTypeList : c.TF_SetAttrTypeList)(op, name, new Int32Array(list), list.length);
    case AttributeKind.bool:
      return (eager ? c.TFE_OpSetAttrBool : c.TF_SetAttrBool)(op, name, value ? 1 : 0);
    case AttributeKind.int: {
      if (!list) return (eager ? c.TFE_OpSetAttrInt : c.TF_SetAttrInt)(op, name, BigInt(value as number));
      const longs = new BigInt64Array(list.map(BigInt));
      return (eager ? c.TFE_OpSetAttrIntList : c.TF_SetAttrIntList)(op, name, longs, list.length);
    }
    case AttributeKind.float:
      if (!list) return (eager ? c.TFE_OpSetAttrFloat : c.TF_SetAttrFloat)(op, name, value as number);
      return (eager ? c.TFE_OpSetAttrFloatList : c.TF_SetAttrFloatList)(op, name, new Float32Array(list), list.length);
    case AttributeKind.string: {
      const bytes = new TextEncoder().encode(value as string);
      const set = eager ? c.TFE_OpSetAttrString : c.TF_SetAttrString;
      return set(op, name, bytes, BigInt(bytes.length));
    }
    case AttributeKind.shape: {
      const dims = new BigInt64Array(list!.map(BigInt));
      if (!eager) return c.TF_SetAttrShape(op, name, dims, dims.length);
      return c.TFE_OpSetAttrShape(op, name, dims, dims.length, tf.status);
    }
    case AttributeKind.function: {
      const bytes = new TextEncoder().encode(value as string);
      return c.TF_SetAttrFuncName(op, name, bytes, BigInt(bytes.length));
    }
    default:
      throw new Error(`Cannot set attribute ${attribute.name}: kind ${type} is unknown`);
  }
}
