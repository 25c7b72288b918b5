import { Problem } from "../core/problem.ts";
import { randomAccess, readDirectory, readMember } from "../training/zip.ts";

/** An array of a NumPy archive, row-major. */
export interface NumpyArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** The longest array that is read: a covariance of 8192 features. */
const maxArrayLength = 8 * 8192 ** 2 + 65_536;

/**
 * Arrays of a `.npz` file, compressed or not. Only numbers are read: float64 and
 * float32 of either memory order. An array of objects, which NumPy would have
 * to execute, is refused like everything else.
 *
 * @param names without `.npy`; the other arrays of the file cost nothing
 * @throws {Problem} one sentence: missing (exit code 2); cut short, damaged, without one of the names, or with other
 * contents than numbers (74)
 */
export async function readNpz<Name extends string>(
  path: string,
  names: readonly Name[],
): Promise<Readonly<Record<Name, NumpyArray>>> {
  try {
    using opened = await Deno.open(path);
    const file = randomAccess(opened, (await opened.stat()).size);
    const members = await readDirectory(file, { deflate: true });
    const arrays: [Name, NumpyArray][] = [];
    for (const name of names) {
      const member = members.get(`${name}.npy`);
      if (!member) {
        const there = [...members.keys()].map((name) => name.replace(/\.npy$/, "")).slice(0, 10).join(", ");
        throw new SyntaxError(`it has no array ${name}, but ${there || "none at all"}`);
      }
      if (member.length > maxArrayLength) throw new SyntaxError(`its array ${name} has ${member.length} bytes`);
      arrays.push([name, decodeNpy(await readMember(file, member), name)]);
    }
    return Object.fromEntries(arrays) as Record<Name, NumpyArray>;
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new Problem(`Cannot use ${path} as a NumPy archive: ${error.message}`, { cause: error, exitCode: 74 });
    }
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Problem(`Cannot read ${path}: it does not exist`, { cause: error });
  }
}

/** As NumPy writes it: the keys in this order. */
const header =
  /^\{'descr': '([<>=|]?[a-zA-Z]\d*)', 'fortran_order': (True|False), 'shape': \(((?:\d{1,9}, ?)*\d{0,9}),?\), ?\}\s*$/;

function decodeNpy(bytes: Uint8Array<ArrayBuffer>, name: string): NumpyArray {
  const fail = (sentence: string): never => {
    throw new SyntaxError(`its array ${name} ${sentence}`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isNpy = bytes.length >= 12 && view.getUint32(0) === 0x934e554d && view.getUint16(4) === 0x5059;
  if (!isNpy) fail("is not in NumPy's format");
  const wide = bytes[6]! > 1, start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end > bytes.length) fail("is cut short");
  const text = new TextDecoder().decode(bytes.subarray(start, end));
  const [, type = "", order, places = ""] = header.exec(text) ?? fail(`has a header that is no plain array's`);
  if (type.endsWith("O")) fail("holds Python objects, which are never read: they would have to be executed");
  if (type !== "<f8" && type !== "<f4") fail(`has type ${type}; those read are <f8 and <f4`);
  const shape = places.split(",").map((n) => n.trim()).filter((n) => n !== "").map(Number);
  const size = type === "<f8" ? 8 : 4, count = shape.reduce((product, n) => product * n, 1);
  if (bytes.length - end !== count * size) {
    fail(`of shape [${shape}] has ${bytes.length - end} bytes instead of ${count * size}`);
  }
  const read = (i: number) => size === 8 ? view.getFloat64(end + 8 * i, true) : view.getFloat32(end + 4 * i, true);
  const data = Float64Array.from({ length: count }, (_, i) => read(i));
  return { shape, data: order === "True" ? rowMajor(data, shape) : data };
}

/** From the first index running fastest to the last. */
function rowMajor(data: Float64Array, shape: readonly number[]): Float64Array {
  return data.map((_, i) => {
    let rest = i, at = 0, stride = data.length;
    for (const n of shape.toReversed()) {
      stride /= n;
      at += rest % n * stride;
      rest = Math.floor(rest / n);
    }
    return data[at]!;
  });
}
