import { basename } from "node:path";
import { Problem } from "../core/problem.ts";
import { progress } from "../core/terminal.ts";
import type { Reference, ReferenceLayout, ReferenceOptions } from "../models/reference_layout.ts";
import { readPyTorchFile } from "../training/pytorch_file.ts";
import { fromReference } from "../training/reference_tensors.ts";
import { readSafetensors, type StoredTensor } from "../training/safetensors.ts";
import { isSafetensors } from "../training/tensor_file.ts";

/** Metadata of the files in a reference's layout that this project writes, which carry its digest as all others do. */
export const referenceMark = { layout: "reference" } as const;

/** A model's weights from a file of this project or of a reference. */
export interface FoundWeights {
  readonly layout: ReferenceLayout;
  /** `[parameterCount]`, ours whatever the file's layout. */
  readonly flat: Float32Array;
  /** Whether the file had them in our layout already. */
  readonly own: boolean;
  /** Under which name the checkpoint keeps them: `ema.`, or nothing. */
  readonly prefix: string;
}

/** `weights`: which of the weights of a checkpoint, by the name that it keeps them under. */
export interface FindOptions extends ReferenceOptions {
  readonly weights?: string;
}

/**
 * Reads the weights of a model from a PyTorch or a safetensors file. Of a
 * checkpoint with several, the exponential average is taken.
 *
 * @throws {Problem} one sentence: a file that is missing; or that is damaged or of
 * another model, the first tensor that is missing, extra or of another shape, and where the right file is (exit code 74)
 */
export async function readReferenceWeights(
  path: string,
  reference: Reference,
  options: FindOptions = {},
): Promise<FoundWeights> {
  try {
    const open = await isSafetensors(path) ? inSafetensors : inPyTorch;
    const { tensors, prefix, own } = await open(path, reference, options);
    const layout = layoutOf(tensors, reference, options, path);
    const stored = own ? { ...layout, placeOf: () => ({}), constants: [] } : layout;
    return { layout, flat: fromReference(stored, tensors, path), own, prefix };
  } catch (error) {
    if (!(error instanceof Problem) || error.exitCode !== 74) throw error;
    throw new Problem(`${error.message}; ${reference.published}`, { cause: error, exitCode: 74 });
  }
}

/** The sizes that a model cannot have are the file's fault here, where `layoutOf` alone blames the options. */
function layoutOf(tensors: Tensors, reference: Reference, options: ReferenceOptions, path: string): ReferenceLayout {
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, shape] as const));
  try {
    return reference.layoutOf(shapes, options);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(
      `Cannot use ${path}: the sizes read off its tensors, "${reference.anchor}" of shape [${
        shapes.get(reference.anchor)
      }] first, are of no such model (${error.message})`,
      { cause: error, exitCode: 74 },
    );
  }
}

type Tensors = ReadonlyMap<string, StoredTensor>;

interface Found {
  readonly tensors: Tensors;
  readonly prefix: string;
  readonly own: boolean;
}

async function inSafetensors(path: string, { anchor }: Reference, { weights }: FindOptions): Promise<Found> {
  const { tensors, metadata, own } = await readSafetensors(path, { foreign: true });
  const prefix = prefixOf([...tensors.keys()], anchor, weights, path);
  return { tensors: below(tensors, prefix), prefix, own: own && metadata.layout !== referenceMark.layout };
}

async function inPyTorch(path: string, { anchor }: Reference, { weights }: FindOptions): Promise<Found> {
  const names: string[] = [];
  await readPyTorchFile(path, { keep: (name) => names.push(name) === 0 });
  const prefix = prefixOf(names, anchor, weights, path);
  let bar: ReturnType<typeof progress> | undefined;
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  const tensors = await readPyTorchFile(path, {
    keep: (name) => name.startsWith(prefix),
    watch: (done, total) =>
      (bar ??= progress(`reading ${basename(path)}`, megabytes(total), "MB")).update(megabytes(done)),
  });
  bar?.stop();
  return { tensors: below(tensors, prefix), prefix, own: false };
}

function below(tensors: Tensors, prefix: string): Tensors {
  return new Map(
    [...tensors].flatMap(([name, tensor]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : []
    ),
  );
}

/** What stands before the model's own names: `ema.`, `model.module.`, `first_stage_model.`, or nothing. */
function prefixOf(names: readonly string[], anchor: string, weights: string | undefined, path: string): string {
  const all = names.filter((name) => name.endsWith(anchor)).map((name) => name.slice(0, -anchor.length))
    .filter((prefix) => prefix === "" || /[./]$/.test(prefix));
  if (all.length === 0) {
    throw new Problem(`Cannot use ${path}: its tensor "${anchor}" is missing, so it holds another model`, {
      exitCode: 74,
    });
  }
  const shown = (prefix: string) => prefix.replace(/[./]$/, "") || "(no name)";
  if (weights !== undefined) {
    const chosen = all.find((prefix) => shown(prefix) === weights);
    if (chosen !== undefined) return chosen;
    throw new Problem(`Cannot find weights "${weights}" in ${path}: it has ${all.map(shown).join(", ")}`);
  }
  return all.find((prefix) => prefix.includes("ema")) ?? all[0]!;
}
