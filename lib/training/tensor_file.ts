import { readBytes } from "../core/files.ts";
import { Problem } from "../core/problem.ts";
import { readPyTorchFile } from "./pytorch_file.ts";
import { decodeSafetensors, type StoredTensor } from "./safetensors.ts";

/** A tensor that a model needs of a weight file. */
export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** May be missing; its shape is still checked. */
  readonly optional?: boolean;
}

/**
 * The tensors of a weight file of any origin: safetensors, or what `torch.save`
 * wrote, told apart by their first bytes. Nothing of the file is executed.
 *
 * @throws {Problem} one sentence: missing (exit code 2); cut short, damaged or of another format (74)
 */
export async function readTensors(path: string): Promise<ReadonlyMap<string, StoredTensor>> {
  if (!await isSafetensors(path)) return await readPyTorchFile(path);
  return decodeSafetensors(await readBytes(path), path, { foreign: true }).tensors;
}

/** Whether a file begins as safetensors do; a missing one does not. */
export async function isSafetensors(path: string): Promise<boolean> {
  // A header in braces stands behind its length; neither a zip archive nor PyTorch's older pickle has a brace there.
  return (await opening(path))[8] === 0x7b;
}

async function opening(path: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(9);
    await file.read(bytes);
    return bytes;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(); // the reader says so
    throw error;
  }
}

/**
 * Checks that a weight file holds the tensors of a model, and no others.
 *
 * @param what the model in words, for the sentence: `the Inception network of FID`
 * @param ignored tensors that may be there and are of no use
 * @throws {Problem} exit code 74: the first tensor that is of another shape, missing or extra, and how many more
 */
export function requireTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  expected: readonly ExpectedTensor[],
  { path, what, ignored = () => false }: { path: string; what: string; ignored?: (name: string) => boolean },
): void {
  const names = new Set(expected.map(({ name }) => name));
  const faults = [
    ...expected.flatMap(({ name, shape }) => {
      const found = tensors.get(name)?.shape;
      return found && found.join() !== shape.join() ? [`"${name}" has shape [${found}] instead of [${shape}]`] : [];
    }),
    ...expected.filter(({ name, optional }) => !optional && !tensors.has(name)).map(({ name }) =>
      `"${name}" is missing`
    ),
    ...[...tensors.keys()].filter((name) => !names.has(name) && !ignored(name)).map((name) => `"${name}" is extra`),
  ];
  if (faults.length === 0) return;
  const more = faults.length > 1 ? ` (and ${faults.length - 1} more)` : "";
  throw new Problem(`Cannot use ${path} as weights of ${what}: its tensor ${faults[0]}${more}`, { exitCode: 74 });
}
