import type { Inspection } from "../kind.ts";
import { inWords } from "./faults.ts";
import { findFiles, missing } from "./find_source.ts";
import { pixelBytes } from "./preparation.ts";
import { chunkRows, readRecord } from "./prepared.ts";
import { factsOf, readSet, setFolder, type SetOptions } from "./set.ts";

/** What there is of a split, where, and what is still to do; reads names and notes, no image. */
export async function inspectSet(options: SetOptions, split: "train" | "test"): Promise<Inspection> {
  const { size, root, cache, expect } = options;
  const name = `imageNet ${size}x${size}`, folder = setFolder(options, split);
  const found = await findFiles(options, split);
  const set = await readSet(options, split, found);
  const facts = {
    ...factsOf(options, split),
    name,
    gather: () => Promise.reject(new RangeError(`${name} ${split} is not loaded: this is its outline`)),
  };
  const where = found
    ? `${found.paths.length === 1 ? found.paths[0] : `${found.paths.length} files in ${root}`} (${found.layout})`
    : missing(options, split).message;
  if (set) {
    const { plan, manifest, order } = set;
    const converted = manifest.unusual.length > 0 ? `, ${inWords(manifest.unusual)}` : "";
    return {
      ready: true,
      outline: { ...facts, size: plan.images, digest: manifest.digest, labels: Int32Array.from(order.labels) },
      remarks: [
        `source: ${where}`,
        `prepared: ${plan.images} images${converted}, digest ${manifest.digest.slice(0, 12)}, in ${folder}`,
      ],
    };
  }
  const chunks = Math.ceil(expect[split] / chunkRows(size));
  let done = 0;
  for (let chunk = 0; chunk < chunks; chunk++) if (await readRecord(folder, chunk)) done++;
  const bytes = `${(pixelBytes(expect[split], size) / 1e9).toPrecision(3)} GB`;
  const kept = cache === false ? "their digests alone, decoding anew in every epoch" : bytes;
  return {
    ready: false,
    outline: {
      ...facts,
      size: expect[split],
      digest: "not prepared",
      labels: Int32Array.from({ length: expect[split] }, (_, i) => i % expect.classes),
    },
    remarks: [
      `source: ${where}`,
      `to prepare: ${expect[split]} images, ${done} of ${chunks} pieces done, ${kept} in ${folder}`,
    ],
  };
}
