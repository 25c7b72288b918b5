import type { PickleGlobal, PickleRules } from "./pickle.ts";
import { type StorageReference, type StorageType, storageTypes, type TensorReference } from "./pytorch_storage.ts";

/**
 * The objects of PyTorch that a pickle of weights is made of: storages outside
 * it, tensors that view them, and few names besides.
 */

const maxRank = 16, maxDepth = 32, maxNodes = 200_000;

/**
 * All tensors below `root`, by their keys joined with dots.
 *
 * @throws {SyntaxError} for two of one name, a key that is no name, or dictionaries without end.
 */
export function namedTensors(root: unknown): Map<string, TensorReference> {
  const named = new Map<string, TensorReference>();
  let nodes = 0;
  const visit = (value: unknown, path: readonly string[]): void => {
    if (++nodes > maxNodes || path.length > maxDepth) {
      throw new SyntaxError("its dictionaries are too many, lie too deep in each other or contain themselves");
    }
    if (isTensor(value)) {
      const name = path.join(".");
      if (named.has(name)) throw new SyntaxError(`two of its tensors are named ${JSON.stringify(name)}`);
      if (name !== "") named.set(name, value);
    } else if (value instanceof Map || Array.isArray(value)) {
      for (const [key, child] of value.entries()) {
        if (typeof child === "object" && child !== null) visit(child, [...path, nameOf(key)]);
      }
    }
  };
  visit(root, []);
  return named;
}

function nameOf(key: unknown): string {
  if (typeof key === "string" || typeof key === "number") return String(key);
  throw new SyntaxError("one of its dictionaries has a key that is neither text nor a number");
}

// Each is a function below or a mere name. argparse.Namespace, the settings that
// SiT keeps beside its weights, comes out empty.
const storageOf = new Map<unknown, StorageType>();
const globals = new Map<string, PickleGlobal>();
const known = (name: string, call?: PickleGlobal["call"]) => {
  const global: PickleGlobal = { name, ...(call && { call }) };
  globals.set(name, global);
  return global;
};
known("collections.OrderedDict", ([pairs = []]) => {
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2;
  if (!Array.isArray(pairs) || !pairs.every(isPair)) throw new SyntaxError("it makes a dictionary of what is no pairs");
  return new Map(pairs as [unknown, unknown][]);
});
known("argparse.Namespace", () => new Map());
known("torch.Size", ([sizes]) => sizes);
known("torch.device", ([name]) => name);
known("torch._utils._rebuild_tensor", rebuildTensor);
known("torch._utils._rebuild_tensor_v2", rebuildTensor);
known("torch._utils._rebuild_parameter", ([tensor]) => tensor);
for (const [name, type] of Object.entries(storageTypes)) {
  storageOf.set(known(`torch.${name}`), type);
  if (!globals.has(`torch.${type.dtype}`)) known(`torch.${type.dtype}`);
}

/** All that a PyTorch file may mention. */
export const rules: PickleRules = { globals, persistent: storageReference };

/** What stands for a storage, from the tuple that names it. */
export function storageReference(id: unknown): StorageReference {
  const [kind, global, key, , length, view] = Array.isArray(id) ? id : [];
  const type = storageOf.get(global);
  if (kind !== "storage" || !type || typeof key !== "string" || !isCount(length) || (view ?? null) !== null) {
    throw new SyntaxError("it refers to an object outside its pickle that is no plain storage");
  }
  return { key, type, length };
}

function rebuildTensor([storage, offset, shape, strides]: readonly unknown[]): TensorReference {
  const counts = (value: unknown): value is number[] =>
    Array.isArray(value) && value.length <= maxRank && value.every(isCount);
  if (
    !isStorage(storage) || !isCount(offset) || !counts(shape) || !counts(strides) || shape.length !== strides.length
  ) {
    throw new SyntaxError("it rebuilds a tensor from what is not a storage, an offset, a shape and strides");
  }
  const size = shape.reduce((product, n) => product * n, 1);
  const last = size === 0 ? offset - 1 : shape.reduce((sum, n, axis) => sum + (n - 1) * strides[axis]!, offset);
  if (size > storage.length || last >= storage.length) {
    const place = `offset ${offset} and strides [${strides}]`;
    throw new SyntaxError(
      `a tensor of shape [${shape}] with ${place} does not fit its storage of ${storage.length} numbers`,
    );
  }
  return { storage, offset, shape: [...shape], strides: [...strides] };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isRecord = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !(value instanceof Map) && !Array.isArray(value);
const isStorage = (value: unknown): value is StorageReference =>
  isRecord(value) && "itemSize" in ((value as Partial<StorageReference>).type ?? {});
const isTensor = (value: unknown): value is TensorReference => isRecord(value) && "strides" in value;
