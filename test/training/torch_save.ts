import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { concat } from "../concat.ts";
import type { StoredTensor } from "../../lib/training/safetensors.ts";

/** What is needed of a tensor to write it. */
export type Saved = Pick<StoredTensor, "shape" | "data">;

/**
 * A file as `torch.save` writes a state dict, or several by name (`{ model, ema }`):
 * an archive, not compressed, of a pickle of protocol 2 and one file a storage, which
 * tensors of the same memory share.
 */
export async function torchSave(
  dictionaries: ReadonlyMap<string, Saved> | Readonly<Record<string, ReadonlyMap<string, Saved>>>,
): Promise<Uint8Array> {
  const storages = new Map<ArrayBufferLike, string>();
  const pickle = dictionaries instanceof Map
    ? stateDict(dictionaries, storages)
    : dictionary(Object.entries(dictionaries).map(([name, tensors]) => [name, stateDict(tensors, storages)]));
  const zip = new ZipWriter(new Uint8ArrayWriter(), { level: 0, useWebWorkers: false, extendedTimestamp: false });
  const add = (name: string, bytes: Uint8Array) => zip.add(`archive/${name}`, new Uint8ArrayReader(bytes));
  await add("data.pkl", concat([[0x80, 2], pickle, [0x2e]]));
  for (const [buffer, key] of storages) await add(`data/${key}`, new Uint8Array(buffer));
  await add("version", new TextEncoder().encode("3\n"));
  return await zip.close();
}

type Bytes = Uint8Array | readonly number[];

const text = (word: string): Bytes => {
  const bytes = new TextEncoder().encode(word);
  return concat([[0x58], uint32(bytes.length), bytes]);
};
const uint32 = (value: number): Bytes => new Uint8Array(Uint32Array.of(value).buffer);
const integer = (value: number): Bytes => concat([[0x4a], uint32(value)]);
const global = (module: string, name: string): Bytes => new TextEncoder().encode(`c${module}\n${name}\n`);
const tuple = (items: readonly Bytes[]): Bytes => concat([[0x28], ...items, [0x74]]);
const call = (callee: Bytes, args: readonly Bytes[]): Bytes => concat([callee, tuple(args), [0x52]]);
const dictionary = (items: readonly (readonly [string, Bytes])[]): Bytes =>
  concat([[0x7d, 0x28], ...items.flatMap(([key, value]) => [text(key), value]), [0x75]]);

/** An OrderedDict of tensors, views of the storages of their memory. */
function stateDict(tensors: ReadonlyMap<string, Saved>, storages: Map<ArrayBufferLike, string>): Bytes {
  const items = [...tensors].flatMap(([name, { shape, data }]) => {
    const key = storages.get(data.buffer) ?? `${storages.size}`;
    storages.set(data.buffer, key);
    const storage = tuple([
      text("storage"),
      global("torch", "FloatStorage"),
      text(key),
      text("cpu"),
      integer(data.buffer.byteLength / 4),
    ]);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
    return [
      text(name),
      call(global("torch._utils", "_rebuild_tensor_v2"), [
        concat([storage, [0x51]]),
        integer(data.byteOffset / 4),
        tuple(shape.map(integer)),
        tuple(strides.map(integer)),
        [0x89],
        call(global("collections", "OrderedDict"), []),
      ]),
    ];
  });
  return concat([call(global("collections", "OrderedDict"), []), [0x28], ...items, [0x75]]);
}
